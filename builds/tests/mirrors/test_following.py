"""A portal takes in what another one publishes: whole, verified, never backwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client

from builds import pipeline
from builds.choices import ReleaseStatus, Role
from builds.models import Channel, Check, Event, Followed, Head, Release, Transfer
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.mirrors.conftest import (
    SYSTEM,
    Tree,
    become_another_portal,
    copy_to,
    drip,
    hostile_release,
    refuse,
    serve,
)
from builds.tests.mirrors.following import (
    FILES,
    FOLDER,
    HISTORY,
    INITRD,
    LATEST,
    MANIFEST,
    change,
    follow,
    publish_there,
    refused,
    versions,
)
from builds.tests.models.rows import channel
from builds.tests.retention.conftest import storage_kind, stored_keys
from builds.tests.retention.dying import death_at
from builds.tests.web.reading import text_of

__all__ = ["storage_kind"]


pytestmark = pytest.mark.django_db


def test_release_of_another_portal_is_published_here(
    storage_kind: str, tree: Tree, client: Client
) -> None:
    release = stored_release(channel(), "1.0")
    Check.objects.create(release=release, name="boot-later", verdict="passed", gates=False)
    pipeline.write_moving("demo")
    files = set(release.artifacts.values_list("name", "size", "sha256", "variant", "role"))
    told = (release.version, release.sequence, release.published_at, release.papers)
    copy_to(tree)
    become_another_portal()

    said = follow(tree)

    assert "no keys are pinned: only digests are checked" in said
    assert f"published: demo 1.0 {SYSTEM}, only its digests were checked" in said
    back = Release.objects.get()
    assert (back.version, back.sequence, back.published_at, back.papers) == told
    assert set(back.artifacts.values_list("name", "size", "sha256", "variant", "role")) == files
    assert [check.name for check in back.checks.all()] == ["boot-later"]
    assert Head.objects.get().release == back
    assert Event.objects.filter(kind="published", release=back).exists()
    assert body(client.get(f"/releases/download/demo/{INITRD}")).startswith(INITRD.encode())
    page = text_of(client.get(back.get_absolute_url()))
    assert f"Built and checked by another portal, {tree.url}" in page
    assert "none was repeated here" in page
    assert {key for key in stored_keys() if key.startswith(FOLDER)} == {
        file.key for file in artifacts().walk(FOLDER)
    }
    for key in (LATEST, f"releases/download/demo/netboot-{SYSTEM}.ipxe"):
        assert artifacts().read(key) == tree.path(key).read_bytes(), key


def test_following_again_fetches_nothing_again(first: Tree) -> None:
    follow(first)
    first.asked.clear()

    assert "nothing else is new" in follow(first)
    assert first.fetched(INITRD) == []
    assert Followed.objects.get().heard_at is not None


def test_new_release_moves_the_head_and_a_withdrawal_moves_it_back(first: Tree) -> None:
    follow(first)
    publish_there(first, "2.0")
    follow(first)
    assert Head.objects.get().release.version == "2.0"
    assert Transfer.objects.count() == 2, "it is known after a restore too"

    def withdraw(record: dict[str, Any]) -> None:
        record["releases"][1] |= {"status": "withdrawn", "reason": "it eats disks"}

    change(first, HISTORY, withdraw)
    change(first, LATEST, lambda record: record.update(version="1.0", sequence=1))

    said = follow(first)

    assert "withdrawn: demo 2.0 x86_64-linux: it eats disks" in said
    taken_back = Release.objects.get(version="2.0")
    assert (taken_back.status, taken_back.reason) == (ReleaseStatus.WITHDRAWN, "it eats disks")
    assert Head.objects.get().release.version == "1.0"


def test_copy_that_went_back_is_refused(first: Tree) -> None:
    publish_there(first, "2.0")
    follow(first)
    change(first, LATEST, lambda record: record.update(version="1.0", sequence=1))

    assert "it went back to 1.0, number 1" in refused(first)
    assert Head.objects.get().release.version == "2.0"
    first.path(LATEST).unlink()
    assert "it has no latest any more" in refused(first)


def test_other_release_of_the_same_number_is_refused(first: Tree) -> None:
    follow(first)
    change(first, LATEST, lambda record: record.update(version="6.6"))

    assert "it calls 6.6 number 1" in refused(first)


def test_last_two_are_fetched_where_that_is_wanted(first: Tree) -> None:
    publish_there(first, "2.0", "3.0")
    follow(first)
    assert versions() == {"3.0"}

    follow(first, "--last", "2")

    assert versions() == {"2.0", "3.0"}
    assert Head.objects.get().release.version == "3.0"


def flip(tree: Tree, key: str) -> None:
    data = bytearray(tree.path(key).read_bytes())
    data[len(data) // 2] ^= 1
    tree.path(key).write_bytes(data)


WRONG: dict[str, Callable[[Tree], object]] = {
    "a flipped byte": lambda tree: flip(tree, f"{FOLDER}/{INITRD}"),
    "a truncated file": lambda tree: tree.path(f"{FOLDER}/{INITRD}").write_bytes(b"x"),
    "a file that is too long": lambda tree: tree.path(f"{FOLDER}/{INITRD}").write_bytes(
        b"x" * 10**6
    ),
    "a file that is missing": lambda tree: tree.path(f"{FOLDER}/{INITRD}").unlink(),
    "other sums": lambda tree: flip(tree, f"{FOLDER}/SHA256SUMS-{SYSTEM}"),
    "no manifest": lambda tree: tree.path(f"{FOLDER}/{MANIFEST}").unlink(),
    "a manifest that is no JSON": lambda tree: tree.path(f"{FOLDER}/{MANIFEST}").write_text("{"),
    "a manifest of another number": lambda tree: change(
        tree, f"{FOLDER}/{MANIFEST}", lambda record: record.update(sequence=9)
    ),
    "a manifest that rows can't hold": lambda tree: change(
        tree, f"{FOLDER}/{MANIFEST}", lambda record: record.update(revision="no revision")
    ),
    "a version that leaves the folder": lambda tree: change(
        tree, LATEST, lambda record: record.update(version="../../x", sequence=2)
    ),
    "a redirect": lambda tree: tree.broken.update(
        {INITRD: refuse(302, Location="http://127.0.0.1:1/")}
    ),
    "an error": lambda tree: tree.broken.update({INITRD: refuse(503)}),
    "a history that is no record": lambda tree: tree.path(HISTORY).write_text("[]"),
    "a history without releases": lambda tree: tree.path(HISTORY).write_text("{}"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_is_refused_and_nothing_is_published(how: str, first: Tree) -> None:
    WRONG[how](first)

    said = refused(first)

    assert "refused: " in said
    assert not Release.objects.exists()
    assert not Head.objects.exists()
    assert not [key for key in stored_keys() if key.endswith(MANIFEST)]
    row = Followed.objects.get()
    assert row.error
    assert row.heard_at is None


@pytest.mark.parametrize("role", [Role.TARBALL, Role.BUNDLE])
def test_release_whose_tarball_leads_out_is_refused_and_none_of_it_is_stored(
    role: Role, tree: Tree
) -> None:
    hostile_release(role)
    copy_to(tree)
    become_another_portal()

    assert "no tarball to unpack: 'kexec/../../etc/cron.d/x' is" in refused(tree)
    assert not Release.objects.exists()
    assert not [key for key in stored_keys() if key.startswith(FOLDER)]


def test_download_that_breaks_off_is_gone_on_with(first: Tree) -> None:
    first.broken[f"{INITRD}$"] = lambda handler, path: serve(handler, path, most=700)

    follow(first)

    assert versions() == {"1.0"}
    ranges = first.fetched(INITRD)
    assert ranges[:3] == ["", "bytes=700-", "bytes=1400-"]


def test_follower_that_died_goes_on_where_it_was(first: Tree) -> None:
    first.broken[f"{INITRD}$"] = lambda handler, path: (
        serve(handler, path, most=700)
        if not handler.headers.get("Range")
        else refuse(503)(handler, path)
    )
    refused(first)
    first.broken.clear()
    first.asked.clear()

    follow(first)

    assert first.fetched(INITRD) == ["bytes=700-"]
    assert versions() == {"1.0"}


@pytest.mark.parametrize("point", ["follow: file fetched", "follow: files stored"])
def test_follower_that_is_killed_between_two_steps_shows_nothing_and_is_finished_by_another(
    first: Tree, point: str
) -> None:
    with death_at(point):
        follow(first)
    assert not Release.objects.exists()
    first.asked.clear()

    follow(first)

    assert versions() == {"1.0"}
    fetched = sum(bool(first.fetched(name)) for name in FILES)
    assert fetched == (0 if point == "follow: files stored" else len(FILES) - 1), "none twice"


def test_slow_server_is_given_up(first: Tree, settings: LazySettings) -> None:
    settings.FOLLOW_PATIENCE_SECONDS = 1
    first.broken[MANIFEST] = drip

    assert "took longer than 1 s" in refused(first)


def test_portal_that_builds_a_channel_itself_takes_none_of_it(first: Tree) -> None:
    stored_release(channel(), "9.0")

    assert "was built here" in refused(first)
    assert versions() == {"9.0"}


def test_channel_that_is_followed_is_no_longer_built(first: Tree) -> None:
    channel(is_active=True)

    assert "demo is no longer built here" in follow(first)
    assert not Channel.objects.get().is_active
    assert "no longer built" not in follow(first)


def test_who_follows_already_is_not_disturbed(first: Tree) -> None:
    follow(first)
    assert Followed.objects.get().hold("worker-1:7")

    with pytest.raises(CommandError, match="followed right now by worker-1:7"):
        call_command("follow", first.url)
