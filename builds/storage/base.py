"""What every storage of artifacts can do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from django.core.files.storage import storages

BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it was written: bytes, and lowercase hex SHA-256 of what went by."""

    size: int
    sha256: str


Tick = Callable[[], None]


def nothing() -> None:
    """What is done between two blocks where nobody watches."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as a listing shows it: its key, its bytes, and when it was written."""

    key: str
    size: int
    modified_at: datetime


class AlreadyStored(Exception):
    """Another file lies under a key that is written once."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is stored already, with other bytes")
        self.key = key


class ArtifactStorage(Protocol):
    """A place for artifacts: keys are paths with slashes, as in URLs."""

    def put_once(self, key: str, source: Path, *, tick: Tick = nothing) -> Stored:
        """Store a file under a new key, hashing while it goes by.

        `tick` is called before each block; what it raises ends the upload.

        Storing the same bytes again does nothing. Raises AlreadyStored where other bytes lie
        there, OSError where the storage fails; then nothing lies under the key.
        """

    def put_from(self, key: str, source: BinaryIO, size: int, *, tick: Tick = nothing) -> Stored:
        """The same from an open file of so many bytes; what its `read` raises ends the upload."""

    def write_once(self, key: str, data: bytes) -> Stored:
        """The same for a small file in memory."""

    def settle(self, staged: str, key: str) -> None:
        """Let what lies under `staged` lie under `key` instead, whole at every moment.

        Nothing happens where that was done before. Raises OSError where the storage fails, and
        FileNotFoundError where the file lies under neither.
        """

    def replace(self, key: str, data: bytes) -> None:
        """Write a small file that moves; readers see the old or the new one, never a part."""

    def open_range(self, key: str, start: int, length: int) -> BinaryIO:
        """Read `length` bytes from `start`; raises FileNotFoundError."""

    def read(self, key: str) -> bytes | None:
        """A small file whole, None where nothing lies there."""

    def outdate(self, folder: str) -> None:
        """Say that what the small files directly in a folder tell is old by now.

        Where they lie on this machine the time of each changes, so that whoever keeps what was
        made of one sees it, and no front server hands them out; the bytes follow. Raises OSError.
        """

    def local_path(self, key: str) -> Path | None:
        """The file itself where it lies on this machine, else None."""

    def exists(self, key: str) -> bool:
        """Whether something lies under the key."""

    def delete(self, key: str) -> None:
        """Remove what lies under the key, if anything does."""

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """Every file below a folder; the files of one folder come one after another.

        On S3 a large file's `modified_at` is when its upload began.
        """

    def drop_leftovers(self, *, before: datetime, only_list: bool = False) -> list[str]:
        """Remove what writes that broke off before then have left; what it was, in words.

        Parts of arriving files are none of that. With `only_list` it stays.
        """

    def show(self, folder: str, files: Mapping[str, str]) -> None:
        """Let a front server hand out just these files of a folder by itself: digests by key."""

    def shows(self, folder: str, files: Mapping[str, str]) -> bool:
        """Whether it does that already; true where no front server can see the files."""

    def show_moving(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Let a front server hand out just these small files directly in a folder by itself, until
        they are outdated: their bytes by key."""

    def shows_moving(self, folder: str, files: Mapping[str, bytes]) -> bool:
        """Whether it does that already; true where no front server can see the files."""

    def front_path(self, key: str) -> str:
        """Where a front server finds the file that an answer leads it to by X-Accel-Redirect."""

    def signed_url(self, key: str) -> str | None:
        """A URL by which anybody may read the file for an hour; None where there can't be one."""


def artifacts() -> ArtifactStorage:
    """The storage of artifacts that the settings name."""
    return cast("ArtifactStorage", storages["artifacts"])


def blocks(source: BinaryIO, size: int = BLOCK) -> Iterator[bytes]:
    """The file's bytes in blocks; each but the last is `size` long."""
    while block := source.read(size):
        yield block


def digest_of(source: BinaryIO) -> str:
    """The lowercase hex SHA-256 of what is left of a file."""
    digest = hashlib.sha256()
    for block in blocks(source):
        digest.update(block)
    return digest.hexdigest()
