"""Every text colour on every ground of tokens.css is at least 4.5 : 1, light and dark."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

TEXTS = ("text", "quiet", "accent", "good", "warn", "bad", "magenta", "cyan")
GROUNDS = ("ground", "surface", "accent-ground")


def palettes() -> dict[str, dict[str, str]]:
    css = (settings.BASE_DIR / "static/css/tokens.css").read_text()
    pairs = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", css)
    return {
        "light": {name: light for name, light, _ in pairs},
        "dark": {name: dark for name, _, dark in pairs},
    }


def luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read(scheme: str, text: str, ground: str) -> None:
    palette = palettes()[scheme]
    assert contrast(palette[text], palette[ground]) >= 4.5


def test_every_colour_has_a_light_and_a_dark_form() -> None:
    css = (settings.BASE_DIR / "static/css/tokens.css").read_text()
    assert re.findall(r"--[a-z-]+: #", css) == []
    assert len(palettes()["dark"]) == 12
