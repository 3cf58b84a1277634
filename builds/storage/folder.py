"""Artifacts in a local folder: a complete static mirror that any web server can serve."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from django.core.files.storage import FileSystemStorage
from whitenoise.responders import SlicedFile

from builds.points import point
from builds.storage.base import (
    AlreadyStored,
    Stored,
    StoredFile,
    Tick,
    blocks,
    digest_of,
    nothing,
)
from builds.storage.front import FrontTree
from builds.storage.keys import INCOMING, PUBLIC, is_arrival


class FileRange(SlicedFile):  # type: ignore[misc]  # WhiteNoise has no types
    """A part of an open file, with its descriptor at the part's start.

    A server that sends by the descriptor stops at Content-Length, and seeks to where it stopped.
    """

    def fileno(self) -> int:
        """The file's own descriptor."""
        return int(self.fileobj.fileno())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the file's own position, counted from the file's start."""
        return int(self.fileobj.seek(offset, whence))


class FolderStorage(FileSystemStorage):
    """A folder; a file appears under its key whole or not at all."""

    def put_once(self, key: str, source: Path, *, tick: Tick = nothing) -> Stored:
        """See ArtifactStorage."""
        with source.open("rb") as file:
            return self._write_once(key, file, tick)

    def put_from(self, key: str, source: BinaryIO, size: int, *, tick: Tick = nothing) -> Stored:
        """See ArtifactStorage."""
        return self._write_once(key, source, tick)

    def write_once(self, key: str, data: bytes) -> Stored:
        """See ArtifactStorage."""
        return self._write_once(key, io.BytesIO(data))

    def settle(self, staged: str, key: str) -> None:
        """See ArtifactStorage. A second name for the same bytes takes the place in one step."""
        source, target = self._path(staged), self._path(key)
        with self._incoming() as part:
            part.unlink()
            try:
                part.hardlink_to(source)
            except FileNotFoundError:
                if target.exists():
                    return
                raise
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
            _sync_folder(target.parent)
            point("settle: under both keys")
            source.unlink(missing_ok=True)

    def replace(self, key: str, data: bytes) -> None:
        """See ArtifactStorage."""
        target = self._path(key)
        with self._incoming() as part:
            _copy(io.BytesIO(data), part)
            point("storage: new text of a moving file written")
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
            _sync_folder(target.parent)

    def open_range(self, key: str, start: int, length: int) -> BinaryIO:
        """See ArtifactStorage. The file has a descriptor, so that gunicorn can use sendfile."""
        file = self._path(key).open("rb", buffering=0)
        return cast("BinaryIO", FileRange(file, start, start + length - 1))

    def read(self, key: str) -> bytes | None:
        """See ArtifactStorage."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None

    def outdate(self, folder: str) -> None:
        """See ArtifactStorage. The clock of files is coarse, so the time is set and not touched."""
        self._front.hide_moving(folder)
        place, now = self._path(folder), time.time_ns()
        for file in place.iterdir() if place.is_dir() else ():
            if file.is_file():
                with suppress(FileNotFoundError):  # replaced meanwhile
                    os.utime(file, ns=(now, now))
        with suppress(FileNotFoundError):  # the folder of all such folders
            os.utime(place.parent, ns=(now, now))

    def local_path(self, key: str) -> Path | None:
        """See ArtifactStorage."""
        return self._path(key)

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """See ArtifactStorage."""
        root = self._path("")
        unseen = {root / INCOMING, root / PUBLIC}
        for place, folders, names in os.walk(self._path(folder)):
            folders[:] = sorted(name for name in folders if Path(place, name) not in unseen)
            for name in sorted(names):
                path = Path(place, name)
                with suppress(FileNotFoundError):  # deleted meanwhile
                    yield _listed(path, root)

    def drop_leftovers(self, *, before: datetime, only_list: bool = False) -> list[str]:
        """See ArtifactStorage."""
        dropped = []
        for path in sorted(self._path(INCOMING).glob("*")):
            with suppress(FileNotFoundError):  # its writer was faster
                left = _listed(path, self._path(""))
                if left.modified_at > before or is_arrival(left.key):
                    continue
                if not only_list:
                    path.unlink()
                dropped.append(f"{left.key}, {left.size} bytes")
        return dropped

    def show(self, folder: str, files: Mapping[str, str]) -> None:
        """See ArtifactStorage."""
        self._front.show(folder, files)

    def shows(self, folder: str, files: Mapping[str, str]) -> bool:
        """See ArtifactStorage."""
        return self._front.shows(folder, files)

    def show_moving(self, folder: str, files: Mapping[str, bytes]) -> None:
        """See ArtifactStorage."""
        self._front.show_moving(folder, files)

    def shows_moving(self, folder: str, files: Mapping[str, bytes]) -> bool:
        """See ArtifactStorage."""
        return self._front.shows_moving(folder, files)

    def front_path(self, key: str) -> str:
        """See ArtifactStorage; deploy/nginx has a location of that name."""
        return f"/_storage/{key}"

    def signed_url(self, key: str) -> str | None:
        """See ArtifactStorage."""
        return None

    @property
    def _front(self) -> FrontTree:
        return FrontTree(self._path(PUBLIC), self._path(""))

    def _write_once(self, key: str, source: BinaryIO, tick: Tick = nothing) -> Stored:
        target = self._path(key)
        with self._incoming() as part:
            stored = _copy(source, part, tick)
            point("storage: copied, not named")
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                # Unlike a rename, a link never takes the place of what is there.
                target.hardlink_to(part)
            except FileExistsError:
                with target.open("rb") as present:
                    if digest_of(present) != stored.sha256:
                        raise AlreadyStored(key) from None
            _sync_folder(target.parent)
            point("storage: named")
        return stored

    @contextmanager
    def _incoming(self) -> Iterator[Path]:
        folder = self._path(INCOMING)
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)
        os.close(descriptor)
        part = Path(name)
        part.chmod(0o644)
        try:
            yield part
        finally:
            with suppress(FileNotFoundError):
                part.unlink()

    def _path(self, key: str) -> Path:
        return Path(self.path(key))


def _listed(path: Path, root: Path) -> StoredFile:
    found = path.stat()
    return StoredFile(
        key=path.relative_to(root).as_posix(),
        size=found.st_size,
        modified_at=datetime.fromtimestamp(found.st_mtime, tz=UTC),
    )


def _copy(source: BinaryIO, part: Path, tick: Tick = nothing) -> Stored:
    digest = hashlib.sha256()
    size = 0
    with part.open("wb") as target:
        for block in blocks(source):
            tick()
            digest.update(block)
            target.write(block)
            size += len(block)
            point("storage: block written")
        target.flush()
        os.fsync(target.fileno())
    return Stored(size=size, sha256=digest.hexdigest())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
