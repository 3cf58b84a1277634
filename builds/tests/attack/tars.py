"""Tars that nobody's tar would write, from a few words."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from typing import Any

BLOCK = tarfile.BLOCKSIZE
# Where a header has its fields (POSIX.1-1988): offset, length.
_SIZE, _MTIME, _CHECKSUM = (124, 12), (136, 12), (148, 8)


def tar_of(row: Mapping[str, Any]) -> bytes:
    """The bytes that a row of corpus/tars.json describes."""
    if "raw" in row:
        return bytes.fromhex(row["raw"])
    one = _member(row["member"])
    again = 2 if row.get("twice") else 1
    members = (
        b"".join(
            _member({**row["member"], "name": f"{row['member']['name']}{number}"})
            for number in range(row["times"])
        )
        if "times" in row
        else one * again
    )
    end: bytes = bytes(row.get("end", 2 * BLOCK)) + row.get("behind", "").encode()
    return members + end


def _member(fields: Mapping[str, Any]) -> bytes:
    info = tarfile.TarInfo(fields["name"])
    info.type = fields.get("type", "0").encode("latin-1")
    info.linkname = fields.get("linkname", "")
    info.size = fields.get("size", 1)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")[-BLOCK:])
    for name, (at, length) in (("size_field", _SIZE), ("mtime_field", _MTIME)):
        if name in fields:
            header[at : at + length] = bytes.fromhex(fields[name]).ljust(length, b"\0")
    _sum(header)
    if "checksum" in fields:
        at, length = _CHECKSUM
        header[at : at + length] = fields["checksum"].encode().ljust(length, b"\0")
    return bytes(header) + (b"x".ljust(BLOCK, b"\0") if info.size == 1 else b"")


def _sum(header: bytearray) -> None:
    at, length = _CHECKSUM
    header[at : at + length] = b" " * length
    header[at : at + length] = b"%06o\0 " % sum(header)
