"""What the screen showed at the end of a check, as it is handed out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from builds import pipeline
from builds.choices import Verdict
from builds.emulator.watch import BootResult
from builds.models import Check, Release
from builds.pipeline.checks.running import record
from builds.pipeline.retention import orphans
from builds.storage import artifacts
from builds.tests.factories import NOW, CheckFactory, ReleaseFactory

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def photographed(release: Release) -> Check:
    """A check of a release whose machine had a screen."""
    check: Check = CheckFactory(release=release, name="boot-netboot-bios", gates=False)
    assert check.start("worker")
    record(check, BootResult(Verdict.PASSED, 4.2, "tcg", "It came up.", "up", PNG, 320))
    return check


def test_picture_is_png_and_can_do_nothing_else(client: Client) -> None:
    check = photographed(ReleaseFactory(published=True, stored=True))

    answer = client.get(f"/checks/{check.pk}/screen.png")

    assert answer.content == PNG
    assert answer["Content-Type"] == "image/png"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_release_page_shows_picture_seconds_and_ram(client: Client) -> None:
    release = ReleaseFactory(published=True, stored=True)
    check = photographed(release)
    page = client.get(release.get_absolute_url()).content.decode()
    assert f'src="/checks/{check.pk}/screen.png"' in page
    assert "4.2 s, emulated, 320 MiB of RAM" in page


def test_check_without_a_screen_has_no_picture(client: Client) -> None:
    check = CheckFactory(passed=True)
    assert client.get(f"/checks/{check.pk}/screen.png").status_code == 404
    assert client.get("/checks/4711/screen.png").status_code == 404
    assert "screen.png" not in client.get(check.release.get_absolute_url()).content.decode()


def test_picture_is_no_orphan_and_goes_with_the_releases_files(
    client: Client, settings: LazySettings
) -> None:
    release = ReleaseFactory(published=True, stored=True, at=NOW)
    check = photographed(release)
    key = release.key(check.picture)
    later = timezone.now() + timedelta(days=2)
    assert key not in set(orphans(at=later))

    release.withdraw("It was wrong.", at=NOW)
    assert list(pipeline.collect(at=timezone.now() + timedelta(days=30)))

    assert artifacts().read(key) is None
    assert client.get(f"/checks/{check.pk}/screen.png").status_code == 410
