"""A copy of the storage behind a URL: small files, sizes, digests, and downloads gone on with."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from builds import outward
from builds.outward import NotThere, Unreachable
from builds.pipeline.scrub import Expected
from builds.storage import channel_key

MOST_PAPER = 4 * 2**20  # bytes
MOST_RECORD = 64 * 2**20
PATIENCE = 30.0  # seconds
LEAST_RATE = 64 * 1024  # bytes a second; what comes slower is given up
TRIES = 4

Progress = Callable[[int], None]


class WrongBytes(Exception):
    """What came is not what it should be; the text says how."""


@dataclass(frozen=True, slots=True)
class Site:
    """A portal, or a mirror of one; every read raises Refused, NotThere or Unreachable."""

    url: str
    allowed: tuple[outward.Network, ...] = ()
    patience: float = PATIENCE  # seconds for a small file

    def paper(self, key: str, most: int = MOST_PAPER) -> bytes:
        """A small file."""
        with _named(key):
            return outward.read(self._url(key), most, allowed=self.allowed, deadline=self.patience)

    def record(self, channel: str, name: str) -> dict[str, Any]:
        """A file that moves, read as JSON; raises Unreachable where it is no record."""
        key = channel_key(channel, name)
        try:
            record = json.loads(self.paper(key, MOST_RECORD))
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise Unreachable(f"{key}: is no record")
        return record

    def size_of(self, key: str) -> int | None:
        """The bytes of a file by its headers; None where they don't tell."""
        with _named(key):
            return outward.size_of(self._url(key), allowed=self.allowed, deadline=self.patience)

    def digest_of(self, key: str, size: int, within: float, progress: Progress) -> str:
        """The SHA-256 of a file of so many bytes; raises WrongBytes where it has more."""
        digest = hashlib.sha256()
        with _named(key), self._reading(key, 0, within) as body:
            for block in body.blocks():
                size -= len(block)
                if size < 0:
                    raise WrongBytes(f"{key}: has more bytes than it should")
                digest.update(block)
                progress(len(block))
        return digest.hexdigest()

    def fetch(self, key: str, file: Expected, part: Path, progress: Progress) -> None:
        """Bring a file into `part`, from where an earlier try stopped, and verify its digest.

        Raises WrongBytes; then nothing is left of it.
        """
        for left in reversed(range(TRIES)):
            before = part.stat().st_size if part.exists() else 0
            try:
                self._go_on(key, file, part, progress)
            except Unreachable:
                came = part.exists() and part.stat().st_size > before
                if not left or not came:
                    raise
            except WrongBytes:
                part.unlink(missing_ok=True)
                if not left or not before:
                    raise  # whole from one server, and wrong
            else:
                return

    def _go_on(self, key: str, file: Expected, part: Path, progress: Progress) -> None:
        size = file.size or 0
        digest, have = _begun(part, progress)
        if have < size:
            within = PATIENCE + (size - have) / LEAST_RATE
            with _named(key), self._reading(key, have, within) as body:
                if body.size not in {None, size}:
                    raise WrongBytes(f"{key}: has {body.size} bytes there, not {size}")
                if body.start != have:
                    digest, have = hashlib.sha256(), 0
                with part.open("r+b" if have else "wb") as target:
                    target.seek(have)
                    for block in body.blocks():
                        have += len(block)
                        if have > size:
                            raise WrongBytes(f"{key}: has more than {size} bytes there")
                        digest.update(block)
                        target.write(block)
                        progress(len(block))
        if have < size:
            raise Unreachable(f"{key}: ended after {have} of {size} bytes")
        if have != size or digest.hexdigest() != file.sha256:
            raise WrongBytes(f"{key}: has the SHA-256 {digest.hexdigest()}, not {file.sha256}")

    def _reading(
        self, key: str, start: int, within: float
    ) -> contextlib.AbstractContextManager[outward.Body]:
        return outward.reading(self._url(key), start, allowed=self.allowed, deadline=within)

    def _url(self, key: str) -> str:
        return f"{self.url}/{quote(key)}"


def _begun(part: Path, progress: Progress) -> tuple[Any, int]:
    """The digest and the length of what is there of a file."""
    digest, have = hashlib.sha256(), 0
    part.parent.mkdir(parents=True, exist_ok=True)
    if part.exists():
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                have += len(block)
                progress(0)
    return digest, have


@contextlib.contextmanager
def _named(key: str) -> Iterator[None]:
    """What goes wrong names the file."""
    try:
        yield
    except NotThere as error:
        raise NotThere(f"{key}: {error}") from None
    except Unreachable as error:
        raise Unreachable(f"{key}: {error}") from None
