"""The boot matrix: every check on the mini image's real files, on both systems."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection

from builds.choices import CheckName, System, Variant
from builds.emulator.watch import BootResult
from builds.models import Check, Release
from builds.pipeline.checks import CHECKS
from builds.pipeline.checks.running import record
from builds.storage import artifacts
from builds.tests.boots.drafts import build_image, draft
from builds.tests.boots.table import Row, write_table

# The boots' threads read the drafts by connections of their own.
pytestmark = pytest.mark.django_db(transaction=True)

# A measurement is some boots one after the other; one of them stands for all.
MEASURED = {System.X86_64: [], System.AARCH64: [CheckName.LEAST_RAM_NETBOOT]}


@pytest.fixture
def drafts(settings: LazySettings) -> dict[System, Release]:
    """A draft of every variant on each system."""
    settings.BOOT_TIME_LIMIT = 600  # a host with much else to do is slow
    return {
        system: draft(system, {each: build_image(system, each) for each in Variant})
        for system in System
    }


@pytest.mark.timeout(1500)
def test_mini_image_passes_every_check_on_both_systems(
    drafts: dict[System, Release], request: pytest.FixtureRequest
) -> None:
    table = request.config.getoption("--boot-matrix")
    planned = [
        (drafts[system], name)
        for system in System
        for name in CheckName
        if name.boots
        and name.applies(system, Variant.values)
        and (not name.measures or name in MEASURED[system] or table)
    ]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        boots = {pool.submit(_boot, *each): each for each in planned}
        for _ in as_completed(boots):
            if table:
                write_table(
                    Path(table),
                    [Row(n, r.system, b.result()) for b, (r, n) in boots.items() if b.done()],
                )
    checks = [_recorded(release, name, boot.result()) for boot, (release, name) in boots.items()]
    wrong = [
        f"{each}: {each.get_verdict_display()}: {each.reason}"
        for each in checks
        if not each.has_passed
    ]
    assert not wrong, "\n".join([*wrong, checks[0].console[-2000:]])
    for check in checks:
        _assert_recorded_whole(check)
    for release in drafts.values():
        _assert_measured(release)


def _boot(release: Release, name: CheckName) -> BootResult:
    try:
        return CHECKS[name](release, lambda: False)
    finally:
        connection.close()


def _recorded(release: Release, name: CheckName, result: BootResult) -> Check:
    check = Check.objects.create(release=release, name=name)
    assert check.start("tests")
    record(check, result)
    return Check.objects.select_related("release__channel").get(pk=check.pk)


def _assert_recorded_whole(check: Check) -> None:
    """Seconds, RAM, accelerator, console, and a picture where there is a screen."""
    assert check.seconds
    assert check.memory
    assert check.accelerator in {"kvm", "tcg"}
    assert check.release.channel.marker_for(check.release) in check.console
    if check.name in _without_screen(check.release.system):
        assert check.picture == ""
        return
    picture = artifacts().read(check.release.key(check.picture))
    assert picture is not None
    assert picture.startswith(b"\x89PNG\r\n")


def _without_screen(system: str) -> Iterator[str]:
    """QEMU's aarch64 has a screen that needs no driver only where a firmware sets it up."""
    if system == System.AARCH64:
        yield from (name for name in CheckName if "netboot-uefi" not in name and "iso" not in name)


def _assert_measured(release: Release) -> None:
    for name in MEASURED[System(release.system)]:
        initrd = release.artifacts.get(variant=name.variant, role="initrd")
        assert initrd.least_memory
        assert 64 <= initrd.least_memory <= 512
