"""`python -m builds.tests.shown.screenshots`: every page, light and dark, wide and narrow."""

from __future__ import annotations

import argparse
import base64
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from builds.tests.ports import free_port
from builds.tests.shown.site import ROOT, site

FOLDER = ROOT / "docs" / "screenshots"
WIDTHS = {"wide": 1280, "narrow": 360}
SCHEMES = ("light", "dark")
HEIGHT = 800
TALLEST = 2000  # pixels; a longer page is cut, to keep the folder small
QUALITY = 35
SCALE = {"wide": 0.75, "narrow": 1}
# They look as others do.
ALIKE = {
    *("latest", "build-cancelled", "build-lost", "release-unchanged"),
    *("channel-one-system", "builds-filtered"),
}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main() -> None:
    """Write them all; --png writes pictures that every viewer knows, into another folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--png", type=Path, help="write PNG files into this folder instead")
    parser.add_argument("--only", default="", help="only pages whose name begins so")
    asked = parser.parse_args()
    folder = asked.png or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with site(free_port(), rows) as (url, paths), sync_playwright() as playwright:
        chosen = {
            name: path
            for name, path in paths.items()
            if name.startswith(asked.only) and name not in ALIKE
        }
        total = sum(
            _shoot(playwright, url, chosen, scheme=scheme, label=label, png=asked.png)
            for scheme in SCHEMES
            for label in WIDTHS
        )
    print(f"{len(chosen) * len(SCHEMES) * len(WIDTHS)} pictures, {total / 2**20:.1f} MiB")


def rows() -> dict[str, str]:
    """Rows in every state, for `site`."""
    from django.utils import timezone

    from builds.tests.shown.rows import rows_in_every_state

    return rows_in_every_state(timezone.now())


def _shoot(
    playwright: Playwright,
    url: str,
    paths: dict[str, str],
    *,
    scheme: Any,
    label: str,
    png: Path | None,
) -> int:
    program = shutil.which("chromium") or "chromium"
    chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
    context = chromium.new_context(
        viewport={"width": WIDTHS[label], "height": HEIGHT}, color_scheme=scheme
    )
    written = 0
    for name, path in paths.items():
        file = (png or FOLDER) / f"{name}-{scheme}-{label}.{'png' if png else 'webp'}"
        file.write_bytes(_picture(context, f"{url}{path}", label, png=bool(png)))
        written += file.stat().st_size
    chromium.close()
    return written


def _picture(context: BrowserContext, url: str, label: str, *, png: bool) -> bytes:
    page = context.new_page()
    page.goto(url)
    height = min(TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
    how: dict[str, Any] = {"format": "png"} if png else {"format": "webp", "quality": QUALITY}
    clip = {"x": 0, "y": 0, "width": WIDTHS[label], "height": height, "scale": SCALE[label]}
    shot = context.new_cdp_session(page).send(
        "Page.captureScreenshot", {**how, "captureBeyondViewport": True, "clip": clip}
    )
    page.close()
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    main()
