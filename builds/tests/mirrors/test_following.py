"""A portal takes in what another one publishes: whole, verified, never backwards."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from builds import pipeline
from builds.choices import ReleaseStatus, Role
from builds.models import Channel, Check, Event, Followed, Head, Release, Transfer
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.mirrors.conftest import (
    SYSTEM,
    Keys,
    Tree,
    become_another_portal,
    copy_to,
    drip,
    hostile_release,
    refuse,
    serve,
)
from builds.tests.models.rows import channel
from builds.tests.retention.conftest import storage_kind, stored_keys
from builds.tests.retention.dying import death_at
from builds.tests.web.reading import text_of

__all__ = ["storage_kind"]

pytestmark = pytest.mark.django_db
FOLDER = "releases/download/demo/1.0"
INITRD, MANIFEST = f"initrd-{SYSTEM}", f"release-{SYSTEM}.json"
FILES = (
    f"bzImage-{SYSTEM}",
    INITRD,
    f"netboot-{SYSTEM}.ipxe",
    f"nixos-kexec-installer-{SYSTEM}.tar.gz",
)
LATEST = f"releases/download/demo/latest-{SYSTEM}.json"
HISTORY = "releases/download/demo/releases.json"


@pytest.fixture
def first(tree: Tree) -> Tree:
    """A copy of a portal with one release; this process is another portal now."""
    stored_release(channel(), "1.0")
    copy_to(tree)
    become_another_portal()
    return tree


def follow(tree: Tree, *words: str) -> str:
    out = io.StringIO()
    call_command("follow", tree.url, "--channel", "demo", *words, stdout=out)
    return out.getvalue()


def refused(tree: Tree, *words: str) -> str:
    out = io.StringIO()
    with pytest.raises(CommandError, match="refused"):
        call_command("follow", tree.url, "--channel", "demo", *words, stdout=out)
    return out.getvalue()


def versions() -> set[str | None]:
    return set(Release.objects.published().values_list("version", flat=True))


def change(tree: Tree, key: str, make: Callable[[dict[str, Any]], object]) -> None:
    """Edit a record of the copy."""
    path = tree.path(key)
    record = json.loads(path.read_text())
    make(record)
    path.write_text(json.dumps(record))


def publish_there(tree: Tree, *names: str) -> None:
    """Let the portal that was copied publish these too, one after the other, and copy it again.

    What this portal has is put aside meanwhile; each comes back from its storage by `restore`.
    """
    kept = {file.key: artifacts().read(file.key) or b"" for file in artifacts().walk("")}
    come_back({file: tree.path(file).read_bytes() for file in tree.files()})
    of = Channel.objects.get()
    for name in names:
        stored_release(of, name)
    copy_to(tree)
    come_back(kept, unsigned=True)


def come_back(files: dict[str, bytes], *, unsigned: bool = False) -> None:
    """Be the portal whose storage held these."""
    become_another_portal()
    for key, data in files.items():
        artifacts().replace(key, data)
    outcomes = list(pipeline.restore(at=timezone.now(), unsigned=unsigned))
    assert not [line for line in outcomes if line.is_refused], outcomes


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


# Signatures


def signed_copy(tree: Tree, keys: Keys, namespace: str = "nixos-images") -> None:
    release = stored_release(channel(), "1.0")
    keys.sign(release, namespace)
    copy_to(tree)
    become_another_portal()


def pin(tmp_path: Path, *allowed: str) -> tuple[str, str]:
    (tmp_path / "signers").write_text("".join(allowed))
    return "--allowed-signers", str(tmp_path / "signers")


def test_signed_release_is_taken_and_the_keys_stay_pinned(
    tree: Tree, keys: Keys, tmp_path: Path, client: Client
) -> None:
    signed_copy(tree, keys)
    other = Keys.make(tmp_path, "other@first.example")

    said = follow(tree, *pin(tmp_path, other.allowed, keys.allowed))

    assert f"published: demo 1.0 {SYSTEM}, signed by {keys.who}" in said
    assert "only digests" not in said
    page = text_of(client.get(Release.objects.get().get_absolute_url()))
    assert f"The signature of {keys.who} was verified" in page
    assert f"by {keys.who}, where it was made" in page
    assert f"SHA256SUMS-{SYSTEM}.sig" in page
    assert "came from another portal" in text_of(client.get("/verify/"))
    with pytest.raises(CommandError, match="other keys were pinned"):
        call_command("follow", tree.url, *pin(tmp_path, other.allowed))
    assert "no keys" not in follow(tree), "they need not be named again"
    follow(tree, *pin(tmp_path, other.allowed), "--replace-signers")
    assert Followed.objects.get().allowed_signers == other.allowed


@pytest.mark.parametrize("how", ["unsigned", "another key", "another namespace", "changed"])
def test_release_without_a_good_signature_is_refused(
    how: str, tree: Tree, keys: Keys, tmp_path: Path
) -> None:
    signer = Keys.make(tmp_path, "mallory") if how == "another key" else keys
    signed_copy(tree, signer, "file" if how == "another namespace" else "nixos-images")
    for sig in tree.root.rglob("*.sig"):
        if how == "unsigned":
            sig.unlink()
    if how == "changed":
        change(tree, f"{FOLDER}/{MANIFEST}", lambda record: record.update(revision="cd" * 20))

    assert "sign" in refused(tree, *pin(tmp_path, keys.allowed))
    assert not Release.objects.exists()
    assert not [key for key in stored_keys() if INITRD in key], "nothing was fetched for it"


# In the background


def test_setting_names_what_the_worker_follows(
    first: Tree, settings: LazySettings, tmp_path: Path, keys: Keys
) -> None:
    settings.FOLLOW_URL, settings.FOLLOW_CHANNELS = first.url, ["demo"]
    channel(is_active=True)

    pipeline.follow_all(worker="test:1", at=timezone.now())

    assert versions() == {"1.0"}
    settings.FOLLOW_ALLOWED_SIGNERS = pin(tmp_path, keys.allowed)[1]
    pipeline.follow_all(worker="test:1", at=timezone.now())
    assert Followed.objects.get().allowed_signers == keys.allowed


def test_what_was_followed_once_is_not_followed_by_the_worker(first: Tree) -> None:
    follow(first, "--once")
    assert not Followed.objects.active().exists()
    follow(first)
    assert Followed.objects.active().exists()
    call_command("follow", first.url, "--stop", stdout=io.StringIO())
    assert not Followed.objects.active().exists()


def test_status_says_how_old_the_knowledge_is(first: Tree, client: Client) -> None:
    follow(first)
    assert f"releases from {first.url} read just now" in text_of(client.get("/status/"))
    Followed.objects.update(heard_at=timezone.now() - timedelta(days=3))

    assert "last read 3 days ago: newer releases are not known here" in text_of(
        client.get("/status/")
    )
    assert "last read 3 days ago" in text_of(client.get("/mirrors/"))


def test_every_known_channel_is_followed_where_none_is_named(first: Tree) -> None:
    channel("demo"), channel("unknown-there")
    out = io.StringIO()

    call_command("follow", first.url, stdout=out)

    assert versions() == {"1.0"}
    assert Channel.objects.get(name="unknown-there").is_active


def test_transfer_comes_back_by_a_restore(first: Tree, tmp_path: Path, keys: Keys) -> None:
    follow(first)
    before = Transfer.objects.values("kind", "source", "signer", "taken_at").get()
    forget_rows()

    list(pipeline.restore(at=timezone.now(), unsigned=True))

    assert Transfer.objects.values("kind", "source", "signer", "taken_at").get() == before


def test_what_was_followed_is_restored_where_who_is_pinned_has_signed_it(
    tree: Tree, keys: Keys, settings: LazySettings, tmp_path: Path
) -> None:
    signed_copy(tree, keys)
    follow(tree)
    forget_rows()

    assert "restore --unsigned takes it" in "".join(map(str, pipeline.restore(at=timezone.now())))
    settings.FOLLOW_ALLOWED_SIGNERS = pin(tmp_path, Keys.make(tmp_path, "mallory").allowed)[1]
    assert "by no key that is pinned" in "".join(map(str, pipeline.restore(at=timezone.now())))
    assert not Release.objects.exists()
    settings.FOLLOW_ALLOWED_SIGNERS = pin(tmp_path, keys.allowed)[1]
    list(pipeline.restore(at=timezone.now()))
    assert Release.objects.get().signed_by == ""


def forget_rows() -> None:
    Head.objects.all().delete(), Release.objects.all().delete(), Channel.objects.all().delete()


def test_api_tells_where_a_release_came_from_and_how_it_is_signed(
    tree: Tree, keys: Keys, tmp_path: Path, client: Client
) -> None:
    signed_copy(tree, keys)
    # Who signs like this signs with OpenSSH alone.
    for sig in tree.root.rglob("*.minisig"):
        sig.unlink()
    follow(tree, *pin(tmp_path, keys.allowed))
    latest = client.get(f"/api/v1/latest/demo/{SYSTEM}/").json()
    detail = client.get(f"/api/v1/releases/demo/1.0/{SYSTEM}/").json()

    assert detail["origin"] == {"kind": "built", "source": ""}
    taken_at = detail["transfer"].pop("taken_at")
    assert taken_at == Transfer.objects.get().taken_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"kind": "followed", "source": tree.url, "signer": keys.who}
    assert detail["transfer"] == told
    assert latest["signatures"] == detail["signatures"]
    for name, urls in (
        (f"SHA256SUMS-{SYSTEM}", detail["signatures"]),
        (MANIFEST, detail["manifest_signatures"]),
    ):
        assert urls.keys() == {"ssh"}, "there is no other"
        signature = body(client.get(urls["ssh"].removeprefix("http://testserver")))
        assert signature == tree.path(f"{FOLDER}/{name}.sig").read_bytes()

    Release.objects.get().withdraw("it eats disks", at=timezone.now())
    gone = client.get(f"/api/v1/releases/demo/1.0/{SYSTEM}/").json()
    assert (gone["signatures"], gone["manifest_signatures"]) == ({}, {})
    assert gone["transfer"]["source"] == tree.url
