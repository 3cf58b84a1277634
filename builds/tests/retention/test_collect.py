"""What retention lets go, what stays, and that breaking off anywhere loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from builds import pipeline, tasks
from builds.choices import ReleaseStatus, System
from builds.models import Artifact, Channel, Head, Release
from builds.pipeline.collect import Act, Failure, let_go
from builds.storage import artifacts, channel_key
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.factories import UserFactory
from builds.tests.models.rows import build, channel
from builds.tests.retention.conftest import FILES, leave_from_last_week, stored_keys
from builds.tests.retention.dying import life_of
from builds.tests.web.reading import text_of
from conftest import trail_is_open

pytestmark = pytest.mark.django_db

SYSTEM = "x86_64-linux"
DAY = timedelta(days=1)
NOW = timezone.now()


def weekly(of: Channel, count: int) -> list[Release]:
    """Releases of as many weeks, the newest last and of today."""
    releases = []
    for week in reversed(range(count)):
        release = stored_release(of, f"{count - week}.0")
        at = NOW - week * timedelta(weeks=1)
        Release.objects.filter(pk=release.pk).update(published_at=at, finished_at=at)
        releases.append(Release.objects.select_related("channel").get(pk=release.pk))
    return releases


def collect(at: datetime) -> list[str]:
    """What was done, by word and version."""
    done = list(pipeline.collect(at=at))
    assert [act for act in done if isinstance(act, Failure)] == []
    return [f"{act.word} {act.what}" for act in done if isinstance(act, Act)]


def status_of(release: Release) -> str:
    return Release.objects.get(pk=release.pk).status


def names_of(release: Release) -> set[str]:
    prefix = release.key("x").removesuffix("x")
    return {key.removeprefix(prefix) for key in stored_keys() if key.startswith(prefix)}


@pytest.mark.parametrize(
    ("last", "days", "stay"),
    [(1, 0, 1), (3, 0, 3), (1, 15, 3), (2, 15, 3), (4, 15, 4), (12, 0, 5), (1, 365, 5)],
)
def test_the_last_n_and_all_of_the_last_m_days_stay(last: int, days: int, stay: int) -> None:
    of = channel(keep_last=last, keep_days=days)
    releases = weekly(of, 5)

    gone = let_go(of, SYSTEM, at=NOW)

    assert {release.version for release in gone} == {
        release.version for release in releases[: 5 - stay]
    }


def test_head_and_what_is_kept_stay_however_old() -> None:
    of = channel(keep_last=1, keep_days=0)
    old, kept, last = weekly(of, 3)
    Head.objects.move(old, at=NOW)
    kept.keep("a customer boots it", by=None, at=NOW)

    assert let_go(of, SYSTEM, at=NOW) == []

    Head.objects.move(last, at=NOW)
    assert let_go(of, SYSTEM, at=NOW) == [old]
    assert kept.stop_keeping()
    assert let_go(of, SYSTEM, at=NOW) == [kept, old]


def test_release_is_marked_then_expired_after_the_grace_then_deleted(
    storage_kind: str, client: Client
) -> None:
    of = channel(keep_last=1, keep_days=0)
    old, last = weekly(of, 2)
    initrd = old.key("initrd-x86_64-linux")
    files = names_of(old)

    assert collect(NOW) == ["mark demo 1.0 x86_64-linux"]
    assert collect(NOW + 6 * DAY) == []
    assert b"initrd" in body(client.get(f"/{initrd}"))
    Artifact.objects.update(last_read_at=None)

    assert collect(NOW + 7 * DAY) == ["expire demo 1.0 x86_64-linux"]
    answer = client.get(f"/{initrd}")
    assert answer.status_code == 410
    text = body(answer).decode()
    assert "was removed after 14 days" in text
    assert f"In its place: http://testserver{last.get_absolute_url()}" in text
    assert b'"status":"expired"' in body(client.get("/releases/download/demo/releases.json"))
    assert names_of(old) == files, "who downloads it right now reads it to its end"

    assert collect(NOW + 8 * DAY) == ["remove files of demo 1.0 x86_64-linux"]
    assert names_of(old) == set()
    assert names_of(last) == files
    assert client.get(f"/{initrd}").status_code == 410
    assert client.get(old.get_absolute_url()).status_code == 200
    assert collect(NOW + 9 * DAY) == []


def test_release_that_its_channel_keeps_after_all_is_unmarked() -> None:
    of = channel(keep_last=1, keep_days=0)
    old, _ = weekly(of, 2)
    collect(NOW)

    Channel.objects.update(keep_last=2)

    assert collect(NOW + 9 * DAY) == ["unmark demo 1.0 x86_64-linux"]
    assert status_of(old) == ReleaseStatus.PUBLISHED


def test_release_that_is_still_read_waits_until_it_is_not(client: Client) -> None:
    of = channel(keep_last=1, keep_days=0)
    old, _ = weekly(of, 2)
    collect(NOW)
    Artifact.objects.filter(release=old).update(last_read_at=NOW + 7 * DAY - timedelta(hours=3))

    assert collect(NOW + 7 * DAY) == []
    assert collect(NOW + 8 * DAY) == ["expire demo 1.0 x86_64-linux"]


def test_release_that_is_read_every_day_waits_for_a_month_and_no_longer() -> None:
    of = channel(keep_last=1, keep_days=0)
    old, _ = weekly(of, 2)
    collect(NOW)
    done = []
    for day in range(7, 38):
        Artifact.objects.filter(release=old).update(last_read_at=NOW + (day - 0.1) * DAY)
        done += [(day, act) for act in collect(NOW + day * DAY)]

    assert done == [(37, "expire demo 1.0 x86_64-linux")]


@pytest.mark.parametrize("event", ["head", "keep", "read", "withdraw", "rules"])
def test_what_changes_between_looking_and_acting_is_seen(event: str) -> None:
    of = channel(keep_last=1, keep_days=0)
    old, _ = weekly(of, 2)
    collect(NOW)
    [act] = [act for act in pipeline.acts(at=NOW + 8 * DAY) if act.word == "expire"]

    events: dict[str, Callable[[], object]] = {
        "head": lambda: Head.objects.move(old, at=NOW),
        "keep": lambda: old.keep("it is needed", by=None, at=NOW),
        "read": lambda: Artifact.objects.update(last_read_at=NOW + 8 * DAY),
        "withdraw": lambda: old.withdraw("it eats disks", at=NOW),
        "rules": lambda: Channel.objects.update(keep_last=5),
    }
    events[event]()

    assert not act.do()
    assert status_of(old) != ReleaseStatus.EXPIRED


def test_files_of_failed_and_withdrawn_releases_go_sooner_and_their_records_stay() -> None:
    of = channel()
    withdrawn, _ = weekly(of, 2)
    withdrawn.withdraw("it eats disks", at=NOW)
    failed = stored_release(of, "3.0")
    log = failed.key("build-netboot-x86_64-linux.1.log.gz")
    artifacts().write_once(log, b"why it failed")
    Head.objects.leave(failed, at=NOW)
    Release.objects.filter(pk=failed.pk).update(status=ReleaseStatus.FAILED, finished_at=NOW)

    assert collect(NOW + DAY) == []
    assert collect(NOW + 2 * DAY) == ["remove files of demo 3.0 x86_64-linux"]
    assert names_of(failed) == {"build-netboot-x86_64-linux.1.log.gz"}
    assert collect(NOW + 7 * DAY) == ["remove files of demo 1.0 x86_64-linux"]
    assert status_of(withdrawn) == ReleaseStatus.WITHDRAWN
    assert withdrawn.artifacts.exists()


def test_failed_release_keeps_its_files_while_a_build_of_it_still_runs() -> None:
    of = channel()
    release = stored_release(of, "1.0")
    Head.objects.all().delete()
    Release.objects.update(status=ReleaseStatus.CANCELLED, finished_at=NOW)
    build(release, attempt=2, status="running", started_at=NOW, lease_until=NOW)

    assert collect(NOW + 9 * DAY) == []


def test_file_that_another_system_shares_stays() -> None:
    of = channel(keep_last=1, keep_days=0)
    old, _ = weekly(of, 2)
    other = stored_release(of, "1.0", System.AARCH64)
    shared = old.artifacts.get(name="initrd-x86_64-linux")
    Artifact.objects.create(
        release=other, name=shared.name, role="initrd", variant="iso", size=1, sha256=shared.sha256
    )
    for days in (0, 7, 8):
        collect(NOW + days * DAY)

    assert Release.objects.get(pk=old.pk).files_removed_at is not None
    assert artifacts().exists(shared.key)
    assert not artifacts().exists(old.key("bzImage-x86_64-linux"))


def test_dry_run_lists_and_changes_nothing(
    storage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weekly(channel(keep_last=1, keep_days=0), 2)
    artifacts().write_once("releases/download/demo/1.0/core", b"x")
    leave_from_last_week(storage_folder / "releases/download/demo/1.0/core")
    (storage_folder / ".incoming").mkdir(exist_ok=True)
    (storage_folder / ".incoming" / "tmpabc").write_bytes(b"half a fi")
    leave_from_last_week(storage_folder / ".incoming" / "tmpabc")
    before = stored_keys()

    call_command("collect", dry_run=True)
    listed = capsys.readouterr().out
    assert stored_keys() == before
    assert not Release.objects.marked().exists()
    call_command("collect")

    assert capsys.readouterr().out == listed
    assert listed.splitlines() == [
        "mark demo 1.0 x86_64-linux: it expires in 7 days",
        "delete releases/download/demo/1.0/core: nothing names it",
        "drop .incoming/tmpabc, 9 bytes: the writes broke off",
    ]
    assert before - stored_keys() == {"releases/download/demo/1.0/core"}
    call_command("collect")
    assert capsys.readouterr().out == "nothing to collect\n"


def test_one_channel_alone_is_collected(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("demo", "other"):
        weekly(channel(name, keep_last=1, keep_days=0), 2)

    call_command("collect", channel="other")

    assert capsys.readouterr().out == "mark other 1.0 x86_64-linux: it expires in 7 days\n"


def test_download_is_noted_once_an_hour_when_it_has_ended(client: Client) -> None:
    release = stored_release(channel(), "1.0")
    artifact = release.artifacts.get(name="initrd-x86_64-linux")
    answer = client.get(f"/{artifact.key}")
    body(answer)
    first = Artifact.objects.get(pk=artifact.pk).last_read_at
    assert first is not None
    body(client.get(f"/{artifact.key}"))
    client.head(f"/{release.key('bzImage-x86_64-linux')}")

    assert Artifact.objects.get(pk=artifact.pk).last_read_at == first
    assert Artifact.objects.filter(last_read_at=None).count() == 3
    Artifact.objects.get(pk=artifact.pk).note_read(at=first + timedelta(hours=1))
    assert Artifact.objects.get(pk=artifact.pk).last_read_at == first + timedelta(hours=1)


def test_download_does_not_fail_where_the_database_takes_no_notes(client: Client) -> None:
    artifact = stored_release(channel(), "1.0").artifacts.get(name="initrd-x86_64-linux")

    def refuse(execute: object, sql: str, *_args: object) -> object:
        if sql.startswith("UPDATE"):
            raise DatabaseError("the disk is full")
        return execute(sql, *_args)  # type: ignore[operator]

    with connection.execute_wrapper(refuse):
        answer = client.get(f"/{artifact.key}")
        assert len(body(answer)) == artifact.size

    assert answer.status_code == 200


def test_storage_that_fails_is_tried_again_and_holds_nothing_back(storage_folder: Path) -> None:
    of = channel(keep_last=1, keep_days=0)
    old, _ = weekly(of, 2)
    collect(NOW)
    collect(NOW + 7 * DAY)
    kernel = storage_folder / old.key("bzImage-x86_64-linux")
    data = kernel.read_bytes()
    kernel.unlink()
    (kernel / "in the way").mkdir(parents=True)  # a folder with something in it can't be deleted

    [failure] = pipeline.collect(at=NOW + 8 * DAY)

    assert isinstance(failure, Failure)
    assert Release.objects.get(pk=old.pk).files_removed_at is None
    (kernel / "in the way").rmdir()
    kernel.rmdir()
    kernel.write_bytes(data)
    assert collect(NOW + 8 * DAY) == ["remove files of demo 1.0 x86_64-linux"]
    assert names_of(old) == set()


@pytest.mark.django_db(transaction=True)
def test_collect_that_is_killed_anywhere_is_finished_by_the_next(
    client: Client, settings: LazySettings
) -> None:
    settings.STORAGES["artifacts"]["BACKEND"] = "builds.tests.retention.dying.DyingFolder"
    point, is_whole = 0, False
    while not is_whole:
        is_whole = _collect_until(point, client)
        with trail_is_open():  # the next looks at its own channel only
            call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
        point += 1
    assert point > 12


def _collect_until(point: int, client: Client) -> bool:
    """Die before that write, look, and collect again; whether it came to its end alive."""
    of = channel(f"demo{point}", keep_last=1, keep_days=0)
    old, last = weekly(of, 2)
    collect(NOW)
    with life_of(point):
        for days in (7, 8):
            list(pipeline.collect(at=NOW + days * DAY))
    is_whole = Release.objects.get(pk=old.pk).files_removed_at is not None
    for artifact in old.artifacts.all():
        answer = client.get(f"/{artifact.key}")
        assert answer.status_code == 410 or len(body(answer)) == artifact.size
    Artifact.objects.update(last_read_at=None)

    for days in (7, 8, 9):
        collect(NOW + days * DAY)

    assert names_of(old) == set()
    assert status_of(old) == ReleaseStatus.EXPIRED
    assert len(names_of(last)) == FILES
    history = artifacts().read(channel_key(of.name, "releases.json")) or b""
    assert history.count(b'"status":"expired"') == 1, f"died before write {point}"
    return is_whole


def test_admin_keeps_a_release_for_good_and_lets_it_go_again(client: Client) -> None:
    release = stored_release(channel(), "1.0")
    client.force_login(UserFactory(username="ann", admin=True))
    url = reverse("release-keep", args=[release.pk])
    assert url in client.get(release.get_absolute_url()).content.decode()

    client.post(url, {"reason": ""})
    assert not Release.objects.get().is_kept
    said = client.post(url, {"reason": "A customer boots it."}, follow=True)

    assert "demo 1.0 x86_64-linux is kept for good." in text_of(said)
    assert "Kept for good (ann): A customer boots it." in text_of(said)
    assert b'"kept":"A customer boots it."' in (
        artifacts().read(channel_key("demo", "releases.json")) or b""
    )
    said = client.post(reverse("release-unkeep", args=[release.pk]), follow=True)
    assert "is no longer kept for good." in text_of(said)
    assert not Release.objects.get().is_kept


def test_page_of_an_expired_release_says_what_became_of_it(client: Client) -> None:
    of = channel(keep_last=1, keep_days=0)
    old, last = weekly(of, 2)
    collect(NOW)
    assert "Its time is over" in text_of(client.get(old.get_absolute_url()))
    collect(NOW + 7 * DAY)

    page = text_of(client.get(old.get_absolute_url()))

    assert "after 14 days: newer ones took its place. Its record stays." in page
    assert f"In its place: {last.version}" in page
    of.targets.create(system=SYSTEM, variant="netboot", attribute="packages.x.y")
    assert "expired" in text_of(client.get(of.get_absolute_url()))
    assert client.get("/").status_code == 200


def test_tick_collects() -> None:
    of = channel(keep_last=1, keep_days=0)
    weekly(of, 2)

    tasks.collect()

    assert Release.objects.marked().count() == 1
