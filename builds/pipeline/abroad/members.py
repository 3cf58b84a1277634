"""What a tar says it holds, read header by header: plain files with plain names, nothing else."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from django.core.exceptions import ValidationError

from builds.models.channel import channel_name, not_reserved
from builds.pipeline.mirrored import Refused
from builds.storage import ROOT, is_file_name

BLOCK = tarfile.BLOCKSIZE
MOST_MEMBERS = 10_000
LONGEST_END = tarfile.RECORDSIZE  # what is left after the last member: zeros, to a whole record
PLAIN = {tarfile.REGTYPE, tarfile.AREGTYPE}
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a tar: its key in the storage, and where its bytes are."""

    key: str
    offset: int
    size: int
    modified_at: datetime

    @property
    def folder(self) -> str:
        """The key of the release's folder."""
        return self.key.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.key.rpartition("/")[2]


def members(tar: BinaryIO) -> list[Member]:
    """Every member, in order. Raises Refused for what is no plain file below a release's folder.

    Nothing is unpacked, and no extension of the format is followed: the tars that are made here
    need none.
    """
    found: dict[str, Member] = {}
    for member in _walk(tar):
        if member.key in found:
            raise Refused(f"{member.key} is in it twice")
        if len(found) >= MOST_MEMBERS:
            raise Refused(f"it has more than {MOST_MEMBERS} members")
        found[member.key] = member
    if not found:
        raise Refused("it is empty")
    return list(found.values())


def _walk(tar: BinaryIO) -> Iterator[Member]:
    length = tar.seek(0, 2)
    offset = 0
    while True:
        tar.seek(offset)
        header = tar.read(BLOCK)
        if len(header) < BLOCK:
            raise Refused("it ends before its end mark: it was cut off")
        if not header.strip(b"\0"):
            _check_end(tar, length - offset)
            return
        member = _read(header, offset + BLOCK)
        padded = -(-member.size // BLOCK) * BLOCK
        if member.offset + padded > length:
            raise Refused(f"{member.key} is cut off")
        yield member
        offset = member.offset + padded


def _read(header: bytes, offset: int) -> Member:
    try:
        info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        modified_at = datetime.fromtimestamp(info.mtime, tz=UTC)
    except (tarfile.HeaderError, ValueError, OverflowError, OSError) as error:
        raise Refused(f"it is no tar, or a damaged one: {error}") from error
    if info.type not in PLAIN:
        kind = _KINDS.get(info.type, "an extension of the format")
        raise Refused(f"{info.name!r} is {kind}; only plain files are taken")
    if info.size <= 0 or info.linkname:
        raise Refused(f"{info.name!r} is no file of {info.size} bytes")
    return Member(_checked(info.name), offset, info.size, modified_at)


def _checked(key: str) -> str:
    """The key, where it is one of a release's file; raises Refused."""
    root, _, rest = key.partition(f"{ROOT}/")
    channel, *names = rest.split("/")
    if root or not _is_channel(channel) or len(names) != 2 or not all(map(is_file_name, names)):  # noqa: PLR2004 - version and file
        raise Refused(f"{key!r} can't be a file of a release")
    return key


def _is_channel(name: str) -> bool:
    try:
        channel_name(name)
        not_reserved(name)
    except ValidationError:
        return False
    return True


def _check_end(tar: BinaryIO, left: int) -> None:
    """Two blocks of zeros end a tar, more fill its last record; nothing hides behind them."""
    if left < 2 * BLOCK or left > LONGEST_END + BLOCK:
        raise Refused("its end is not that of a tar")
    if tar.read().strip(b"\0"):
        raise Refused("something lies behind its end")
