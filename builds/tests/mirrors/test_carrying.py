"""Releases in a tar: what was packed comes out as it was."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client

from builds.choices import ReleaseStatus
from builds.models import Artifact, Channel, Check, Head, Release, Transfer
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.mirrors.carrying import FOLDER, INITRD, MANIFEST, SUMS, pack, packed, take
from builds.tests.mirrors.conftest import SYSTEM, Keys, unsign
from builds.tests.models.rows import channel
from builds.tests.retention.conftest import storage_kind, stored_keys
from builds.tests.retention.dying import death_at

__all__ = ["packed", "storage_kind"]

pytestmark = pytest.mark.django_db


def facts(model: type[Model], *names: str) -> list[tuple[Any, ...]]:
    return sorted(model._default_manager.values_list(*names), key=str)


def test_release_comes_out_as_it_went_in(storage_kind: str, tmp_path: Path, client: Client) -> None:
    release = stored_release(channel(), "1.0")
    Check.objects.create(release=release, name="boot-x", verdict="passed", gates=True)
    told = facts(Release, "version", "sequence", "revision", "status", "published_at", "papers")
    files = facts(Artifact, "name", "size", "sha256")
    latest = artifacts().read(f"releases/download/demo/latest-{SYSTEM}.json")
    path = pack(tmp_path / "demo.tar")
    assert stored_keys() == set()

    said = take(path)

    assert "only digests are checked" in said
    assert f"published: demo 1.0 {SYSTEM}, only its digests were checked" in said
    assert facts(
        Release, "version", "sequence", "revision", "status", "published_at", "papers"
    ) == (told)
    assert facts(Artifact, "name", "size", "sha256") == files
    assert artifacts().read(f"releases/download/demo/latest-{SYSTEM}.json") == latest
    assert Head.objects.get().release.version == "1.0"
    assert not Channel.objects.get().is_active
    transfer = Transfer.objects.get()
    assert (transfer.kind, transfer.source, transfer.signer) == ("imported", "demo.tar", "")
    assert body(client.get(f"/releases/download/demo/{INITRD}")).startswith(INITRD.encode())


def test_same_release_gives_the_same_tar_with_its_manifest_first(tmp_path: Path) -> None:
    stored_release(channel(), "1.0")
    for name in ("one.tar", "two.tar"):
        call_command("export", "demo", str(tmp_path / name), stdout=io.StringIO())

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        members = tar.getmembers()
    assert [member.name for member in members[:2]] == [f"{FOLDER}/{MANIFEST}", f"{FOLDER}/{SUMS}"]
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}
    with pytest.raises(CommandError, match="is there already"):
        call_command("export", "demo", str(tmp_path / "one.tar"))


def test_damaged_release_is_not_packed(tmp_path: Path) -> None:
    release = stored_release(channel(), "1.0")
    artifacts().replace(release.key(INITRD), b"x" * 100)

    with pytest.raises(CommandError, match="is damaged"):
        call_command("export", "demo", str(tmp_path / "demo.tar"), stdout=io.StringIO())
    assert list(tmp_path.glob("*.tar*")) == []


def test_importing_again_does_nothing_and_says_so(packed: Path) -> None:
    take(packed)
    before = facts(Release, *[field.name for field in Release._meta.concrete_fields])

    assert f"known: demo 1.0 {SYSTEM}: it is here already, nothing was done" in take(packed)
    assert facts(Release, *[field.name for field in Release._meta.concrete_fields]) == before


def test_what_was_withdrawn_here_stays_withdrawn(packed: Path) -> None:
    take(packed)
    call_command(
        "withdraw", "demo", "1.0", "--system", SYSTEM, "--reason", "bad", stdout=io.StringIO()
    )

    take(packed)

    assert Release.objects.get().status == ReleaseStatus.WITHDRAWN
    assert not Head.objects.exists()


def test_older_release_does_not_become_the_latest(tmp_path: Path) -> None:
    of = channel()
    stored_release(of, "1.0"), stored_release(of, "2.0")
    call_command(
        "export", "demo", str(tmp_path / "old.tar"), "--version", "1.0", stdout=io.StringIO()
    )
    new = pack(tmp_path / "new.tar")

    take(new)
    take(tmp_path / "old.tar")

    assert set(Release.objects.values_list("version", "status")) == {
        ("1.0", "published"),
        ("2.0", "published"),
    }
    assert Head.objects.get().release.version == "2.0"


def test_two_releases_travel_in_one_tar(tmp_path: Path) -> None:
    of = channel()
    stored_release(of, "1.0"), stored_release(of, "2.0")

    said = take(pack(tmp_path / "both.tar", "--version", "1.0", "--version", "2.0"))

    assert said.index("published: demo 1.0") < said.index("published: demo 2.0")
    assert Head.objects.get().release.version == "2.0"


def test_channel_that_is_built_here_takes_nothing(packed: Path) -> None:
    stored_release(channel(), "9.0")
    before = stored_keys()

    with pytest.raises(CommandError, match=r"another release here|was built here"):
        take(packed)
    assert stored_keys() == before


@pytest.mark.parametrize("point", ["import: file stored", "import: files stored"])
def test_import_that_is_killed_shows_nothing_and_is_finished_by_another(
    packed: Path, point: str
) -> None:
    with death_at(point):
        take(packed)
    assert not Release.objects.exists()

    assert "published: demo 1.0" in take(packed)


# Signatures


def test_signed_release_is_taken_and_its_signature_is_served(
    tmp_path: Path, keys: Keys, client: Client
) -> None:
    keys.sign(stored_release(channel(), "1.0"))
    path = pack(tmp_path / "demo.tar")
    pinned = tmp_path / "signers"
    pinned.write_text(keys.allowed)

    said = take(path, "--allowed-signers", str(pinned))

    assert f"published: demo 1.0 {SYSTEM}, signed by {keys.who}" in said
    assert "only digests" not in said
    assert Transfer.objects.get().signer == keys.who
    assert b"SSH SIGNATURE" in body(client.get(f"/{FOLDER}/{SUMS}.sig"))
    assert "/".join((FOLDER, f"{MANIFEST}.sig")) in stored_keys()


@pytest.mark.parametrize("how", ["unsigned", "another key", "another namespace", "manifest only"])
def test_release_that_is_not_signed_by_a_pinned_key_is_refused(
    how: str, tmp_path: Path, keys: Keys
) -> None:
    release = stored_release(channel(), "1.0")
    if how == "unsigned":
        unsign(release, SUMS, MANIFEST)
    elif how == "another key":
        Keys.make(tmp_path, "mallory").sign(release)
    elif how == "another namespace":
        keys.sign(release, "file")
    elif how == "manifest only":
        keys.sign(release)
        unsign(release, SUMS)
    path = pack(tmp_path / "demo.tar")
    pinned = tmp_path / "signers"
    pinned.write_text(keys.allowed)

    with pytest.raises(CommandError, match="sign"):
        take(path, "--allowed-signers", str(pinned))
    assert not Release.objects.exists()
    assert stored_keys() == set()


@pytest.mark.parametrize("text", ["", "# nobody\n", "just-a-name\n"])
def test_file_that_pins_no_key_is_refused(text: str, packed: Path, tmp_path: Path) -> None:
    (tmp_path / "signers").write_text(text)

    with pytest.raises(CommandError, match="allowed signers"):
        take(packed, "--allowed-signers", str(tmp_path / "signers"))
