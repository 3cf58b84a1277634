"""Builds that fail on a running portal: the last release stays, and the page says why."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from builds.tests.whole_way.conftest import Portal

SYSTEM = "x86_64-linux"
CATALOGUE = """
[channels.moody]
title = "An image that breaks"
flake = "path:{flake}"
attribute = "packedOn.{{host}}.{{system}}.{{variant}}"
systems = ["x86_64-linux"]
variants = ["netboot"]
checks = ["boot-netboot-direct"]
marker = "mini image is up: {{system}} {{version}}"
slot = "Monday 01:00"
"""


@pytest.fixture(scope="module")
def flake(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the mini image's flake, followed by a channel of its own with one release."""
    folder = tmp_path_factory.mktemp("moody")
    flake = folder / "mini"
    shutil.copytree(settings.BASE_DIR / "images" / "mini", flake)
    (folder / "catalogue.toml").write_text(CATALOGUE.format(flake=flake))
    portal.manage("loadcatalog", str(folder / "catalogue.toml"))
    portal.manage("trigger", "moody", "--system", SYSTEM)
    portal.wait("good release", 200, lambda: portal.latest("moody", SYSTEM))
    return flake


def break_init(flake: Path) -> None:
    (flake / "root" / "init").write_text("#!/bin/busybox sh\necho nothing works\nexit 1\n")


def break_evaluation(flake: Path) -> None:
    text = (flake / "flake.nix").read_text()
    (flake / "flake.nix").write_text(text.replace("packedOn", "packedOnn"))


def break_product(flake: Path) -> None:
    script = flake / "pack" / "netboot.sh"
    script.write_text(script.read_text() + '\nrm "$out/initrd-$system"\n')


def empty_product(flake: Path) -> None:
    script = flake / "pack" / "netboot.sh"
    script.write_text(script.read_text() + '\n: > "$out/initrd-$system"\n')


BREAKS = {
    "a broken attribute": (break_evaluation, "packedOn"),
    "a missing product": (break_product, "initrd-x86_64-linux"),
    "an empty product": (empty_product, "initrd-x86_64-linux"),
    "an image that does not boot": (break_init, "panic"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", BREAKS)
def test_failure_leaves_the_last_release_and_says_what_happened(
    portal: Portal, flake: Path, case: str
) -> None:
    breaks, word = BREAKS[case]
    before = portal.latest("moody", SYSTEM)
    breaks(flake)
    try:
        page = trigger_and_wait(portal)
    finally:
        shutil.copytree(settings.BASE_DIR / "images" / "mini", flake, dirs_exist_ok=True)

    assert word in page
    assert "Traceback" not in page
    assert portal.latest("moody", SYSTEM) == before
    for artifact in before["artifacts"] if before else []:
        digest = portal.get(artifact["url"].removeprefix(portal.url) + ".sha256").split()[0]
        if artifact["role"] != "ipxe":
            assert digest == artifact["sha256"]


def trigger_and_wait(portal: Portal) -> str:
    """The page of a new release of the channel, once it has failed."""
    said = portal.manage("trigger", "moody", "--system", SYSTEM)
    [path] = [word for word in said.split() if "drafts/" in word]

    def failed() -> str | None:
        page = portal.get(path)
        return page if "failed" in page and "in the making" not in page else None

    return portal.wait("failed release", 200, failed)


def test_dashboard_says_that_the_newest_attempt_failed(portal: Portal, demo: Any) -> None:
    assert "failed" in portal.get("/channels/moody/")
