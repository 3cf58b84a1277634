"""Two builds of one file side by side: where they part, and what is worth keeping of that."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = 1024 * 1024
_SHOWN = 32  # bytes around the first that differs
_MOST_TOLD = 20
LARGEST_KEPT = 8 * 1024 * 1024
MOST_KEPT = 2 * LARGEST_KEPT


@dataclass(frozen=True, slots=True)
class Pair:
    """One file of both builds; `second` is None where there is none to look at."""

    name: str
    first: Path
    second: Path | None


@dataclass(frozen=True, slots=True)
class Side:
    """One file: bytes, lowercase hex SHA-256, and the bytes around where it parts from the other.

    What is not there, or is no plain file, has the size None.
    """

    size: int | None = None
    sha256: str = ""
    around: bytes = b""


@dataclass(frozen=True, slots=True)
class Parting:
    """How two builds of a file differ; `offset` counts bytes from 0, None where that is unknown."""

    pair: Pair
    offset: int | None
    first: Side
    second: Side

    @property
    def record(self) -> dict[str, Any]:
        """The same for manifest and database."""
        return {
            "name": self.pair.name,
            "offset": self.offset,
            "size": self.first.size,
            "sha256": self.first.sha256,
            "second_size": self.second.size,
            "second_sha256": self.second.sha256,
        }

    @property
    def sentence(self) -> str:
        """What a person is told first."""
        where = "" if self.offset is None else f" from byte {self.offset} on"
        return f"{self.pair.name} differs{where}"

    @property
    def text(self) -> str:
        """The same in lines, with the bytes where they part."""
        sides = (("first", self.first), ("second", self.second))
        lines = [f"{self.sentence}."]
        for word, side in sides:
            size = "no file" if side.size is None else f"{side.size} bytes"
            lines.append(f"  {word:<6}  {size}  {side.sha256}".rstrip())
        if self.offset is not None:
            start = _start(self.offset)
            lines += [f"  {word:<6}  at {start}: {side.around.hex(' ')}" for word, side in sides]
        return "\n".join(lines)


def told(pairs: Iterable[Pair]) -> Iterator[Parting]:
    """How pairs differ, of those that do; at most so many, so that a page can show them."""
    count = 0
    for pair in pairs:
        found = parting(pair)
        if found is not None:
            yield found
            count += 1
        if count >= _MOST_TOLD:
            return


def parting(pair: Pair) -> Parting | None:
    """How one pair differs, None where it does not. Raises OSError."""
    first, second = _side(pair.first), _side(pair.second)
    if first == second:
        return None
    if pair.second is None or first.size is None or second.size is None:
        return Parting(pair, None, first, second)
    offset = _first_difference(pair.first, pair.second)
    around = [_around(path, offset) for path in (pair.first, pair.second)]
    sides = [
        Side(side.size, side.sha256, there)
        for side, there in zip((first, second), around, strict=True)
    ]
    return Parting(pair, offset, *sides)


def files_of(first: Path, second: Path | None, called: str) -> Iterator[Pair]:
    """The files of two outputs by pairs, in the order of their names; no link is followed."""
    if second is None or not _is_folder(first) or not _is_folder(second):
        yield Pair(called, first, second)
        return
    for name in sorted({*_names(first), *_names(second)}):
        yield Pair(name, first / name, second / name)


def sha256_of(path: Path) -> str:
    """The lowercase hex SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _names(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in [*files, *links]:
            yield str((Path(place) / name).relative_to(folder))


def _side(path: Path | None) -> Side:
    if path is None:
        return Side()
    if path.is_symlink():
        target = os.fsencode(path.readlink())
        return Side(None, hashlib.sha256(target).hexdigest())
    if not path.is_file():
        return Side()
    return Side(path.stat().st_size, sha256_of(path))


def _first_difference(first: Path, second: Path) -> int:
    with first.open("rb") as one, second.open("rb") as other:
        offset = 0
        while True:
            left, right = one.read(_BLOCK), other.read(_BLOCK)
            if left != right or not left:
                return offset + _same(left, right)
            offset += len(left)


def _same(left: bytes, right: bytes) -> int:
    """How many bytes two pieces have in common at their beginning."""
    differing = (
        at for at, (one, other) in enumerate(zip(left, right, strict=False)) if one != other
    )
    return next(differing, min(len(left), len(right)))


def _start(offset: int) -> int:
    return max(0, offset - _SHOWN // 2)


def _around(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(_start(offset))
        return file.read(_SHOWN)
