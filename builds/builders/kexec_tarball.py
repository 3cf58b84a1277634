"""Looks into a kexec tarball without unpacking it: what a shell would get of it, header by header.

Only plain files and folders below `kexec/` are let through, in headers that every tar reads alike:
no links, devices or extensions of the format, no name twice. All of it is read once, in a constant
amount of memory, and within bounds.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from builds.builders.base import BadProduct

MOST_MEMBERS = 1000
MOST_BYTES = 8 * 1024**3  # unpacked, all members together
MOST_MEMORY = 128 * 1024**2  # of the decoder; xz -9 wants 65 MiB
LONGEST_END = 1024**2  # zeros behind the last member

TOP, RUN = "kexec", "kexec/run"

_BLOCK = tarfile.BLOCKSIZE
_PIECE = 256 * 1024
_FILES = {tarfile.REGTYPE, tarfile.AREGTYPE}
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a pipe",
}
_ACTS_AS_OWNER = 0o6000  # set-user-id, set-group-id


@dataclass(frozen=True, slots=True)
class Inside:
    """What a tarball holds: how many members, and their bytes."""

    members: int
    size: int


def look_into(file: BinaryIO, name: str, tick: Callable[[], None]) -> Inside:
    """What is in a tarball; `name` is its own, which says how it is packed.

    `tick` is called between pieces; what it raises ends the reading. Raises BadProduct for a
    tarball that nobody should unpack.
    """
    try:
        return _members(_Stream(_unpacked(file, name, tick)))
    except (_Strange, EOFError, OSError, zlib.error, lzma.LZMAError) as wrong:
        raise BadProduct(f"{name} is no tarball to unpack: {wrong}.") from wrong


class _Strange(Exception):
    """What the tarball holds that it should not."""


class _Stream:
    """Bytes that come in pieces, read forward."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next bytes; fewer at the end."""
        found = bytearray()
        while len(found) < size and self._fill():
            found += self._take(size - len(found))
        return bytes(found)

    def skip(self, size: int) -> bool:
        """Pass over bytes; false where there are fewer."""
        while size and self._fill():
            size -= len(self._take(size))
        return not size

    def rest(self) -> Iterator[memoryview]:
        """All that is left, in pieces."""
        while self._fill():
            yield self._take(len(self._piece))

    def _fill(self) -> bool:
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._piece = memoryview(piece)
        return True

    def _take(self, size: int) -> memoryview:
        taken, self._piece = self._piece[:size], self._piece[size:]
        return taken


def _members(stream: _Stream) -> Inside:
    names: set[str] = set()
    size = 0
    while (header := _header(stream)) is not None:
        name = _checked(header)
        if name in names:
            raise _Strange(f"{name!r} is in it twice")
        names.add(name)
        size += header.size
        if len(names) > MOST_MEMBERS or size > MOST_BYTES:
            raise _Strange(f"it holds more than {MOST_MEMBERS} members or {MOST_BYTES} bytes")
        if not stream.skip(-(-header.size // _BLOCK) * _BLOCK):
            raise _Strange(f"{name!r} is cut off")
    if RUN not in names:
        raise _Strange(f"it has no {RUN}")
    _check_end(stream)
    return Inside(len(names), size)


def _header(stream: _Stream) -> tarfile.TarInfo | None:
    """The next member's; None at the end mark."""
    block = stream.read(_BLOCK)
    if len(block) < _BLOCK:
        raise _Strange("it ends before its end mark")
    if not block.strip(b"\0"):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise _Strange(f"a header can't be read: {error}") from error


def _checked(header: tarfile.TarInfo) -> str:
    """The member's name, as a path without `./` in front or a slash behind."""
    is_folder = header.type == tarfile.DIRTYPE
    if not is_folder and header.type not in _FILES:
        kind = _KINDS.get(header.type, "an extension of the format")
        raise _Strange(f"{header.name!r} is {kind}; only plain files and folders are taken")
    if header.size < 0 or header.linkname or (is_folder and header.size):
        raise _Strange(f"the header of {header.name!r} contradicts itself")
    name = header.name.removeprefix("./").rstrip("/") if is_folder else header.name
    name = name.removeprefix("./")
    first, *rest = name.split("/")
    if first != TOP or not all(_is_plain(part) for part in rest) or (not rest and not is_folder):
        raise _Strange(f"{header.name!r} is not below {TOP}/")
    if header.mode & _ACTS_AS_OWNER and not is_folder:
        raise _Strange(f"{header.name!r} would run with its owner's rights")
    return name


def _is_plain(part: str) -> bool:
    return part not in {"", ".", ".."} and part.isprintable()


def _check_end(stream: _Stream) -> None:
    """Nothing but zeros, and not many, is behind the end mark: some tars would read on."""
    length = 0
    for piece in stream.rest():
        length += len(piece)
        if length > LONGEST_END or bytes(piece).strip(b"\0"):
            raise _Strange("something lies behind its end")


def _unpacked(file: BinaryIO, name: str, tick: Callable[[], None]) -> Iterator[bytes]:
    pieces = _from_xz(file) if name.endswith(".xz") else _from_gzip(file)
    for piece in pieces:
        tick()
        yield piece


def _from_gzip(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as unpacked:
        while piece := unpacked.read(_PIECE):
            yield piece


def _from_xz(file: BinaryIO) -> Iterator[bytes]:
    """One stream; lzma.open would give the decoder as much memory as the file asks for."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY)
    while not decoder.eof:
        packed = file.read(_PIECE) if decoder.needs_input else b""
        if decoder.needs_input and not packed:
            raise EOFError("it is cut off")
        yield decoder.decompress(packed, _PIECE)
    if decoder.unused_data.strip(b"\0") or file.read(_PIECE).strip(b"\0"):
        raise _Strange("something lies behind its end")
