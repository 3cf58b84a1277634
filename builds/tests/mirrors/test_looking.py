"""Mirrors are looked at: fresh and right ones are offered, others named with what is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds import pipeline
from builds.choices import MirrorState
from builds.models import Mirror, Release
from builds.tests.downloads.conftest import stored_release
from builds.tests.mirrors.conftest import SYSTEM, Tree, copy_to, drip, refuse
from builds.tests.models.rows import channel
from builds.tests.web.reading import text_of
from builds.web import kept

pytestmark = pytest.mark.django_db
FOLDER = "releases/download/demo/1.0"
INITRD, MANIFEST = f"initrd-{SYSTEM}", f"release-{SYSTEM}.json"
LATEST = f"releases/download/demo/latest-{SYSTEM}.json"


@pytest.fixture
def release() -> Release:
    return stored_release(channel(), "1.0")


@pytest.fixture
def mirror(release: Release, tree: Tree) -> Mirror:
    copy_to(tree)
    return Mirror.objects.create(url=tree.url, title="University", place="Graz", country="AT")


def look(mirror: Mirror, later: timedelta = timedelta(0)) -> MirrorState:
    assert pipeline.check_mirror(mirror, worker="test:1", at=timezone.now() + later)
    mirror.refresh_from_db()
    return MirrorState(mirror.state)


def offered(release: Release) -> list[Mirror]:
    return list(Mirror.objects.offering(release))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_fresh_and_right_mirror_is_offered(mirror: Mirror, release: Release, tree: Tree) -> None:
    assert offered(release) == []

    assert look(mirror) == MirrorState.FRESH

    assert offered(release) == [mirror]
    assert mirror.note == ""
    assert mirror.good_at == mirror.checked_at
    assert ("HEAD", f"/{FOLDER}/{INITRD}", "") in tree.asked
    hashed = [name for name in (INITRD, f"bzImage-{SYSTEM}") if tree.fetched(name)]
    assert len(hashed) <= 1, "one file a day"


def test_mirror_is_not_offered_once_that_is_long_ago_or_it_is_disabled(
    mirror: Mirror, release: Release
) -> None:
    look(mirror)
    assert not Mirror.objects.offering(release, at=timezone.now() + timedelta(hours=7)).exists()
    Mirror.objects.update(is_enabled=False)
    assert offered(release) == []
    assert not Mirror.objects.due(timezone.now() + timedelta(days=1)).exists()


def test_mirror_behind_says_how_far_and_is_not_offered(mirror: Mirror, release: Release) -> None:
    newer = stored_release(release.channel, "2.0")

    assert look(mirror) == MirrorState.BEHIND

    head = mirror.heads.get()
    assert (head.version, head.behind, head.behind_since) == ("1.0", 1, newer.published_at)
    assert "It has 1.0, 1 behind 2.0." in mirror.note
    assert offered(release) == offered(newer) == []


def test_older_release_is_offered_where_it_is_right_too(tree: Tree, release: Release) -> None:
    stored_release(release.channel, "2.0")
    copy_to(tree)
    mirror = Mirror.objects.create(url=tree.url, title="University")

    assert look(mirror) == MirrorState.FRESH

    assert offered(release) == [mirror]


def test_withdrawn_release_is_offered_nowhere(mirror: Mirror, release: Release) -> None:
    look(mirror)
    pipeline.withdraw(release, "bad", by=None, at=timezone.now())

    assert offered(release) == []


BROKEN: dict[str, Callable[[Tree], object]] = {
    "a flipped byte in the manifest": lambda tree: flip(tree.path(f"{FOLDER}/{MANIFEST}")),
    "a truncated file": lambda tree: tree.path(f"{FOLDER}/{INITRD}").write_bytes(b"x"),
    "a file that is missing": lambda tree: tree.path(f"{FOLDER}/{INITRD}").unlink(),
    "a latest that is no release of ours": lambda tree: tree.path(LATEST).write_text(
        tree.path(LATEST).read_text().replace('"version":"1.0"', '"version":"6.6"')
    ),
    "a latest with other digests": lambda tree: tree.path(LATEST).write_text(
        json.dumps(json.loads(tree.path(LATEST).read_text()) | {"artifacts": []})
    ),
}
SILENT: dict[str, Callable[[Tree], object]] = {
    "no record": lambda tree: tree.path(LATEST).write_text("<html>"),
    "a redirect": lambda tree: tree.broken.update(
        {"latest": refuse(302, Location="http://127.0.0.1:1/")}
    ),
    "an error": lambda tree: tree.broken.update({"initrd": refuse(500)}),
    "a slow answer": lambda tree: tree.broken.update({"latest": drip}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_wrong_mirror_is_noticed(how: str, mirror: Mirror, release: Release, tree: Tree) -> None:
    BROKEN[how](tree)

    assert look(mirror) == MirrorState.WRONG
    assert mirror.note
    assert offered(release) == []
    copy_to(tree)
    assert look(mirror, timedelta(hours=1)) == MirrorState.FRESH


@pytest.mark.parametrize("how", SILENT)
def test_mirror_that_gives_no_answer_is_noticed(
    how: str, mirror: Mirror, release: Release, tree: Tree, settings: LazySettings
) -> None:
    settings.MIRROR_PATIENCE_SECONDS = 1
    SILENT[how](tree)

    assert look(mirror) == MirrorState.SILENT
    assert mirror.note
    assert offered(release) == []


def test_flipped_byte_is_found_by_the_file_of_the_day_and_hashed_again_first(
    mirror: Mirror, release: Release, tree: Tree
) -> None:
    flip(tree.path(f"{FOLDER}/{INITRD}"))
    days, state = 0, MirrorState.FRESH
    while state == MirrorState.FRESH and days < 5:
        state = look(mirror, timedelta(days=days, hours=1))
        days += 1
    assert state == MirrorState.WRONG
    assert f"{INITRD} has the SHA-256" in mirror.note
    assert offered(release) == []

    assert look(mirror, timedelta(days=days)) == MirrorState.WRONG, "it is not forgotten"
    copy_to(tree)
    assert look(mirror, timedelta(days=days, hours=1)) == MirrorState.FRESH


def test_each_file_has_its_turn_and_larger_ones_than_the_budget_none(
    mirror: Mirror, release: Release, tree: Tree, settings: LazySettings
) -> None:
    names = {file.name for file in release.artifacts.all()}
    for day in range(len(names)):
        look(mirror, timedelta(days=day, hours=day))
    assert {name for name in names if tree.fetched(name)} == names
    tree.asked.clear()
    settings.MIRROR_DIGEST_BYTES = 1

    look(mirror, timedelta(days=20))

    assert [name for name in names if tree.fetched(name)] == []


def test_mirror_that_has_nothing_is_not_up_to_date(release: Release, tree: Tree) -> None:
    mirror = Mirror.objects.create(url=tree.url, title="Empty")

    assert look(mirror) == MirrorState.BEHIND
    assert offered(release) == []


def test_inward_addresses_are_asked_only_where_a_setting_allows(
    mirror: Mirror, settings: LazySettings, tree: Tree
) -> None:
    settings.MIRROR_NETWORKS = ()

    assert look(mirror) == MirrorState.SILENT
    assert "no public address" in mirror.note
    assert tree.asked == []
    with pytest.raises(CommandError, match="no public address"):
        call_command("mirror", "add", "http://192.168.1.1")


def test_mirror_that_somebody_looks_at_is_left_to_them(mirror: Mirror) -> None:
    assert mirror.hold("another")
    again = Mirror.objects.get()

    assert not pipeline.check_mirror(again, worker="test:2", at=timezone.now())


def test_command_adds_lists_checks_and_removes(release: Release, tree: Tree) -> None:
    copy_to(tree)
    out = io.StringIO()
    call_command("mirror", "add", f"{tree.url}/", "--title", "TU", "--country", "AT", stdout=out)
    assert f"{tree.url} (AT): up to date" in out.getvalue()
    flip(tree.path(f"{FOLDER}/{MANIFEST}"))

    with pytest.raises(CommandError, match="1 of 1 are not up to date"):
        call_command("mirror", "check", tree.url, stdout=out)

    call_command("mirror", "list", stdout=out)
    assert f"{tree.url} (AT): has wrong files" in out.getvalue()
    call_command("mirror", "remove", tree.url, stdout=out)
    assert not Mirror.objects.exists()


def test_task_looks_at_those_whose_time_has_come(mirror: Mirror) -> None:
    at = timezone.now()
    pipeline.check_mirrors(worker="test:1", at=at)
    mirror.refresh_from_db()
    assert mirror.checked_at == at
    assert not Mirror.objects.due(at + timedelta(minutes=59)).exists()
    assert Mirror.objects.due(at + timedelta(minutes=61)).exists()


def test_page_shows_each_mirror_and_what_is_wrong(
    mirror: Mirror, release: Release, tree: Tree, client: Client
) -> None:
    look(mirror)
    page = text_of(client.get("/mirrors/"))
    assert "University" in page
    assert "Graz, AT" in page
    assert "up to date" in page
    shown = client.get(release.get_absolute_url()).content.decode()
    assert f'href="{tree.url}/{FOLDER}/' in shown
    flip(tree.path(f"{FOLDER}/{MANIFEST}"))

    look(mirror, timedelta(hours=1))

    assert f"{MANIFEST} has the SHA-256" in text_of(client.get("/mirrors/"))
    assert tree.url not in client.get(release.get_absolute_url()).content.decode()


def test_number_of_queries_does_not_grow_with_mirrors(
    mirror: Mirror, release: Release, client: Client
) -> None:
    def queries() -> list[int]:
        counts = []
        for path in ("/mirrors/", "/status/", release.get_absolute_url()):
            kept.forget()
            with CaptureQueriesContext(connection) as captured:
                assert client.get(path).status_code == 200
            counts.append(len(captured))
        return counts

    look(mirror)
    before = queries()
    for number in range(5):
        Mirror.objects.create(url=f"{mirror.url}/{number}", title=f"number {number}")

    assert queries() == before
    assert max(before) <= 10


def sign_again(change: str, release: Release) -> None:
    """Change the keys, and let the new current one sign what the last one signed."""
    words = ("revoke", release.signed_by) if change == "revoke" else (change,)
    call_command("keys", *words, stdout=io.StringIO())
    call_command("keys", "sign-again", stdout=io.StringIO())


def test_mirror_with_the_signatures_of_an_earlier_key_is_behind_and_offered(
    mirror: Mirror, release: Release, tree: Tree
) -> None:
    before = release.signed_by
    sign_again("rotate", release)

    assert look(mirror) == MirrorState.BEHIND

    assert mirror.note == f"{release}: It has the earlier signatures by {before}."
    assert offered(release) == [mirror], "what it has still proves what it proved"
    sums = f"{FOLDER}/SHA256SUMS-{SYSTEM}"
    for name in (f"{sums}.sig", f"{sums}.minisig"):
        good = tree.path(name).read_bytes()
        flip(tree.path(name))
        assert look(mirror) == MirrorState.WRONG, name
        assert offered(release) == []
        tree.path(name).write_bytes(good)
    copy_to(tree)
    assert look(mirror) == MirrorState.FRESH


def test_mirror_with_the_signatures_of_a_revoked_key_is_wrong(
    mirror: Mirror, release: Release
) -> None:
    sign_again("revoke", release)

    assert look(mirror) == MirrorState.WRONG
    assert "instead of" in mirror.note
