"""One changed byte raises an alarm, is seen everywhere, and is not given out any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from builds import pipeline, tasks
from builds.choices import EventKind
from builds.models import Damage, Event, Release
from builds.pipeline.scrub import MIB, Pace, Scrubbed, scrub_some
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.factories import UserFactory
from builds.tests.models.rows import channel
from builds.tests.retention.conftest import FILES
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db

INITRD = "initrd-x86_64-linux"
SUMS = "SHA256SUMS-x86_64-linux"
MANIFEST = "release-x86_64-linux.json"


@pytest.fixture
def release() -> Release:
    return stored_release(channel(), "1.0")


def scrub() -> Scrubbed:
    return pipeline.scrub(Release.objects.to_scrub(None), at=timezone.now(), pace=Pace(None))


def alarms() -> QuerySet[Event]:
    """What subscribers are told of damage."""
    return Event.objects.filter(kind=EventKind.DAMAGED)


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


CHANGES: dict[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "one bit": (flip, "Its SHA-256 is"),
    "the last byte": (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "Its SHA-256 is"),
    "cut off": (lambda data: data[:-1], "It has"),
    "appended to": (lambda data: data + b"x", "It has more than its"),
    "gone": (lambda data: None, "It is missing."),
}


@pytest.mark.parametrize("name", [INITRD, SUMS, MANIFEST])
@pytest.mark.parametrize("change", CHANGES)
def test_any_change_of_any_file_is_found(
    storage_kind: str, release: Release, name: str, change: str
) -> None:
    assert scrub().is_clean
    alter, words = CHANGES[change]
    key = release.key(name)
    data = alter(artifacts().read(key) or b"")
    if data is None:
        artifacts().delete(key)
    else:
        artifacts().replace(key, data)

    scrubbed = scrub()

    assert [damage.name for damage in scrubbed.damaged] == [name]
    if name == INITRD or data is None:
        assert scrubbed.damaged[0].what.startswith(words)
    assert scrubbed.files == FILES


def damage(release: Release, name: str = INITRD) -> bytes:
    """Change one bit of a file; the bytes that it had."""
    data = artifacts().read(release.key(name)) or b""
    artifacts().replace(release.key(name), flip(data))
    return data


def test_alarm_is_raised_once_and_said_each_time(
    release: Release, caplog: pytest.LogCaptureFixture
) -> None:
    damage(release)

    scrub()
    scrub()

    told = alarms().get()
    assert told.release == release
    assert told.payload["reason"].startswith(f"{INITRD}: Its SHA-256 is")
    assert Damage.objects.count() == 1
    shouted = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(shouted) == 2
    assert release.key(INITRD) in shouted[0].message


def test_alarm_does_not_wait_for_the_files_after_it(release: Release) -> None:
    damage(release)
    later = stored_release(release.channel, "2.0")
    told: list[tuple[str | None, int]] = []

    pipeline.scrub(
        Release.objects.order_by("pk"),
        at=timezone.now(),
        pace=Pace(None),
        told=lambda _scrubbed, now: told.append((now.version, alarms().count())),
    )

    assert told == [(release.version, 0), (later.version, 1)]


def test_damaged_file_is_not_given_out_and_its_neighbours_are(
    client: Client, release: Release
) -> None:
    damage(release)
    scrub()

    for folder in ("/releases/download/demo", "/releases/download/demo/1.0"):
        for headers in ({}, {"Range": "bytes=0-3"}):
            answer = client.get(f"{folder}/{INITRD}", headers=headers)
            assert answer.status_code == 410
            assert answer["Content-Type"].startswith("text/plain")
            assert "is damaged in the storage and is not given out" in body(answer).decode()
        assert body(client.get(f"{folder}/bzImage-x86_64-linux")).startswith(b"bzImage")
        assert client.get(f"{folder}/{INITRD}.sha256").status_code == 200
    assert client.get(f"/releases/download/demo/1.0/{SUMS}").status_code == 200
    damage(release, SUMS)
    scrub()
    assert client.get(f"/releases/download/demo/1.0/{SUMS}").status_code == 410


def test_damage_stands_on_the_page_the_dashboard_and_in_the_admin(
    client: Client, release: Release
) -> None:
    damage(release)
    scrub()

    page = client.get(release.get_absolute_url())
    assert "Not all of this release can be downloaded" in text_of(page)
    assert "damaged, not given out" in text_of(page)
    assert f'href="http://testserver/{release.key(INITRD)}"' not in page.content.decode()
    release.channel.targets.create(
        system=release.system, variant="netboot", attribute="packages.x.y"
    )
    dashboard = client.get("/")
    assert "damaged" in text_of(dashboard)
    assert 'class="cell bar bad"' in dashboard.content.decode()
    client.force_login(UserFactory(admin=True))
    assert "Its SHA-256 is" in text_of(client.get("/admin/builds/damage/"))


def test_file_that_was_put_back_is_given_out_again(client: Client, release: Release) -> None:
    data = damage(release)
    scrub()
    artifacts().replace(release.key(INITRD), data)

    assert scrub().is_clean

    assert body(client.get(f"/{release.key(INITRD)}")) == data
    assert Damage.objects.get().mended_at is not None
    damage(release)
    assert not scrub().is_clean
    assert Damage.objects.count() == 2


def test_file_that_cannot_be_read_is_no_damage(release: Release, storage_folder: Path) -> None:
    path = storage_folder / release.key(INITRD)
    path.unlink()
    path.mkdir()

    scrubbed = scrub()

    assert not scrubbed.is_clean
    assert len(scrubbed.unread) == 1
    assert not Damage.objects.exists()
    assert Release.objects.get().scrubbed_at is None


def test_release_that_was_withdrawn_meanwhile_raises_no_alarm(release: Release) -> None:
    artifacts().delete(release.key(INITRD))
    release.withdraw("it eats disks", at=timezone.now())

    scrubbed = pipeline.scrub([release], at=timezone.now(), pace=Pace(None))

    assert scrubbed.is_clean
    assert not Damage.objects.exists()


def test_tick_hashes_what_was_not_hashed_for_a_week_the_oldest_first(release: Release) -> None:
    now = timezone.now()
    fresh, old = stored_release(release.channel, "2.0"), stored_release(release.channel, "3.0")
    fresh.note_scrubbed(at=now - timedelta(days=6))
    old.note_scrubbed(at=now - timedelta(days=8))
    week = timedelta(days=7)
    assert list(Release.objects.to_scrub(now - week)) == [release, old]
    assert scrub_some(at=now, rate=MIB, seconds=-1, again_after=week).releases == 0

    tasks.scrub()

    assert list(Release.objects.to_scrub(now - week)) == []
    assert Release.objects.get(pk=fresh.pk).scrubbed_at == now - timedelta(days=6)


def test_reading_keeps_to_its_rate() -> None:
    began = time.monotonic()
    pace = Pace(10 * MIB)
    for _ in range(4):
        pace.read(MIB)

    assert 0.4 <= time.monotonic() - began < 2


def test_command_ends_with_an_error_where_a_file_is_damaged(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    other = stored_release(release.channel, "2.0")
    call_command("scrub")
    assert f"{2 * FILES} files of 2 releases" in capsys.readouterr().out
    call_command("scrub", since_days=1)
    assert "0 files of 0 releases" in capsys.readouterr().out
    damage(release)
    call_command("scrub", release=f"demo/{other.version}")

    with pytest.raises(CommandError, match="1 damaged, 0 could not be read"):
        call_command("scrub", release="demo/1.0/x86_64-linux", rate=0)

    assert f"ALARM: {INITRD} of demo 1.0 x86_64-linux: Its SHA-256" in capsys.readouterr().err
    with pytest.raises(CommandError, match="no published release"):
        call_command("scrub", release="demo/9.0")
