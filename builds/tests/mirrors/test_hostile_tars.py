"""Hostile tars change nothing. Each is a good one with one thing changed."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from builds.choices import Role
from builds.models import Release
from builds.tests.mirrors.carrying import FOLDER, INITRD, MANIFEST, SUMS, pack, packed, take
from builds.tests.mirrors.conftest import hostile_release
from builds.tests.retention.conftest import stored_keys

__all__ = ["packed"]

pytestmark = pytest.mark.django_db
Members = list[tuple[tarfile.TarInfo, bytes]]


def _read(path: Path) -> Members:
    found = []
    with tarfile.open(path) as tar:
        for each in tar:
            file = tar.extractfile(each)
            assert file is not None, "no plain file"
            found.append((each, file.read()))
    return found


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


def _changes_nothing(path: Path, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        take(path)
    assert stored_keys() == set()
    assert not Release.objects.exists()


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_tar_changes_nothing(shape: str, packed: Path) -> None:
    _write(packed, HOSTILE[shape](_read(packed)))

    _changes_nothing(packed, r"demo\.tar: ")


@pytest.mark.parametrize("role", [Role.TARBALL, Role.BUNDLE])
def test_release_whose_tarball_leads_out_changes_nothing(role: Role, tmp_path: Path) -> None:
    hostile_release(role)
    path = pack(tmp_path / "demo.tar")

    _changes_nothing(path, r"no tarball to unpack: 'kexec/\.\./\.\./etc/cron")


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

    _changes_nothing(packed, r"demo\.tar: ")


@pytest.mark.parametrize("how", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extension_headers_are_not_followed(how: int, packed: Path) -> None:
    _write(packed, [*_read(packed), _file(f"{FOLDER}/{'a' * 115}{'b' * 100}")], how)

    _changes_nothing(packed, r"extension of the format|can't be a file")
