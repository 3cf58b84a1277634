"""Releases in a tar: what was packed comes out as it was; what is hostile changes nothing."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client

from builds.choices import ReleaseStatus, Role
from builds.models import Artifact, Channel, Check, Head, Release, Transfer
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.mirrors.conftest import (
    SYSTEM,
    Keys,
    become_another_portal,
    hostile_release,
    unsign,
)
from builds.tests.models.rows import channel
from builds.tests.retention.conftest import storage_kind, stored_keys
from builds.tests.retention.dying import death_at

__all__ = ["storage_kind"]

pytestmark = pytest.mark.django_db
FOLDER = "releases/download/demo/1.0"
INITRD, MANIFEST, SUMS = f"initrd-{SYSTEM}", f"release-{SYSTEM}.json", f"SHA256SUMS-{SYSTEM}"
Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A tar of one release; the portal that is left has nothing of it."""
    stored_release(channel(), "1.0")
    return pack(tmp_path / "demo.tar")


def pack(path: Path, *words: str) -> Path:
    call_command("export", "demo", str(path), *words, stdout=io.StringIO())
    become_another_portal()
    return path


def take(path: Path, *words: str) -> str:
    out = io.StringIO()
    call_command("import", str(path), *words, stdout=out)
    return out.getvalue()


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


# Hostile tars. Each is a good one with one thing changed.


def _read(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(each, tar.extractfile(each).read()) for each in tar.getmembers()]  # type: ignore[union-attr]


def _write(path: Path, members: Members, how: int = tarfile.USTAR_FORMAT) -> None:
    with tarfile.open(path, "w", format=how) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))


def _file(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> Any:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    return info, data


def added(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> Any:
    def change(members: Members) -> Members:
        return [*members, _file(name, data, kind, link)]

    return change


def replaced(name: str, make: Callable[[bytes], bytes]) -> Any:
    def change(members: Members) -> Members:
        found = []
        for info, data in members:
            new = make(data) if info.name.endswith(f"/{name}") else data
            info.size = len(new)
            found.append((info, new))
        return found

    return change


def manifest(**told: Any) -> Any:
    return replaced(MANIFEST, lambda data: json.dumps(json.loads(data) | told).encode())


def first_file(**told: Any) -> Any:
    def make(data: bytes) -> bytes:
        record = json.loads(data)
        record["artifacts"][0] |= told
        return json.dumps(record).encode()

    return replaced(MANIFEST, make)


def named(old: str, new: str) -> Any:
    def change(members: Members) -> Members:
        for info, _ in members:
            info.name = info.name.replace(old, new)
        return members

    return change


def without(name: str) -> Any:
    return lambda members: [each for each in members if not each[0].name.endswith(f"/{name}")]


def twice(name: str) -> Any:
    def change(members: Members) -> Members:
        return [*members, *(each for each in members if each[0].name.endswith(f"/{name}"))]

    return change


def flipped(data: bytes) -> bytes:
    return data[:7] + bytes([data[7] ^ 1]) + data[8:]


HOSTILE: dict[str, Any] = {
    "an absolute path": added("/etc/cron.d/x"),
    "a path that leaves": added(f"{FOLDER}/../../../../etc/passwd"),
    "dots as the version": named("demo/1.0", "demo/.."),
    "a hidden file": added(f"{FOLDER}/.htaccess"),
    "an empty part": added(f"{FOLDER}//x"),
    "a backslash": added(f"{FOLDER}/..\\x"),
    "a line break": added(f"{FOLDER}/a\nb"),
    "a file beside the releases": added("releases/download/demo/latest-x86_64-linux.json"),
    "a file at the root": added("index.html"),
    "one folder too deep": added(f"{FOLDER}/deep/x"),
    "another root": named("releases/download", "releases/upload"),
    "a root before the root": named("releases/download", "x/releases/download"),
    "a channel with a reserved name": named("/demo/", "/latest/"),
    "a channel that can't be": named("/demo/", "/Demo!/"),
    "a symbolic link": added(f"{FOLDER}/x", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    "a hard link": added(f"{FOLDER}/x", kind=tarfile.LNKTYPE, link=f"{FOLDER}/{INITRD}"),
    "a device": added(f"{FOLDER}/x", kind=tarfile.CHRTYPE),
    "a block device": added(f"{FOLDER}/x", kind=tarfile.BLKTYPE),
    "a pipe": added(f"{FOLDER}/x", kind=tarfile.FIFOTYPE),
    "a folder": added(f"{FOLDER}/x", kind=tarfile.DIRTYPE),
    "a sparse file": added(f"{FOLDER}/x", kind=tarfile.GNUTYPE_SPARSE),
    "an unknown type": added(f"{FOLDER}/x", kind=b"Z"),
    "a file that no manifest names": added(f"{FOLDER}/more"),
    "a file of another release": added("releases/download/demo/2.0/x"),
    "an empty file": added(f"{FOLDER}/{SUMS}.sig", b""),
    "a huge signature": added(f"{FOLDER}/{SUMS}.sig", b"x" * 70_000),
    "a file twice": twice(INITRD),
    "a manifest twice": twice(MANIFEST),
    "no manifest": without(MANIFEST),
    "no sums": without(SUMS),
    "a file that is missing": without(INITRD),
    "the manifest last": lambda members: [*members[1:], members[0]],
    "nothing": lambda members: [],
    "a flipped byte": replaced(INITRD, flipped),
    "a file that is too long": replaced(INITRD, lambda data: data + b"x"),
    "a file that is too short": replaced(INITRD, lambda data: data[:-1]),
    "sums that say something else": replaced(SUMS, flipped),
    "a manifest that is no JSON": replaced(MANIFEST, lambda data: b"{"),
    "a manifest that is a list": replaced(MANIFEST, lambda data: b"[]"),
    "a manifest too deep to read": replaced(MANIFEST, lambda data: b"[" * 200_000),
    "another channel": manifest(channel="other"),
    "another version": manifest(version="9.0"),
    "an unknown system": manifest(system="z80-linux"),
    "a later format": manifest(format=99),
    "no number": manifest(sequence=None),
    "the number true": manifest(sequence=True),
    "a negative number": manifest(sequence=-1),
    "no times": manifest(created_at="yesterday"),
    "a time without a zone": manifest(begun_at="2026-11-22T03:12:09"),
    "a file's name that leaves": first_file(name="../../x"),
    "a digest that is none": first_file(sha256="0" * 63),
    "a size below zero": first_file(size=-1),
    "a size that is text": first_file(size="9"),
    "an unknown role": first_file(role="rootkit"),
    "an unknown variant": first_file(variant="floppy"),
    "a file that is the manifest": first_file(name=MANIFEST),
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_tar_changes_nothing(shape: str, packed: Path) -> None:
    _write(packed, HOSTILE[shape](_read(packed)))

    with pytest.raises(CommandError, match=r"demo\.tar: "):
        take(packed)
    assert stored_keys() == set()
    assert not Release.objects.exists()


@pytest.mark.parametrize("role", [Role.TARBALL, Role.BUNDLE])
def test_release_whose_tarball_leads_out_changes_nothing(role: Role, tmp_path: Path) -> None:
    hostile_release(role)
    path = pack(tmp_path / "demo.tar")

    with pytest.raises(CommandError, match=r"no tarball to unpack: 'kexec/\.\./\.\./etc/cron"):
        take(path)
    assert stored_keys() == set()
    assert not Release.objects.exists()


RAW: dict[str, Callable[[bytes], bytes]] = {
    "cut off in a file": lambda data: data[: len(data) // 2],
    "cut off in a header": lambda data: data[:700],
    "without its end": lambda data: data.rstrip(b"\0") + b"\0" * 100,
    "something behind the end": lambda data: data + b"evil" * 128,
    "much behind the end": lambda data: data + b"\0" * 100_000,
    "a wrong checksum": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "a size of 8 GiB": lambda data: data[:124] + b"77777777777\0" + data[136:],
    "gzip": lambda data: b"\x1f\x8b" + data,
    "not a tar": lambda data: os.urandom(4096),
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("shape", RAW)
def test_file_that_is_no_whole_tar_changes_nothing(shape: str, packed: Path) -> None:
    packed.write_bytes(RAW[shape](packed.read_bytes()))

    with pytest.raises(CommandError, match=r"demo\.tar: "):
        take(packed)
    assert stored_keys() == set()
    assert not Release.objects.exists()


@pytest.mark.parametrize("how", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extension_headers_are_not_followed(how: int, packed: Path) -> None:
    _write(packed, [*_read(packed), _file(f"{FOLDER}/{'a' * 115}{'b' * 100}")], how)

    with pytest.raises(CommandError, match=r"extension of the format|can't be a file"):
        take(packed)
    assert stored_keys() == set()
