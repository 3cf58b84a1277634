"""Packs the logs of builds that have ended into the storage, beside their release's files."""

from __future__ import annotations

import gzip
import hashlib
import logging
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from builds.models import Build, LogArchive, LogChunk, Packed, Piece
from builds.storage import AlreadyStored, artifacts

logger = logging.getLogger(__name__)

MEMBER_SIZE = 1024 * 1024
READ_AT_ONCE = 32
ARCHIVED_AT_ONCE = 20


def archive_logs(*, at: datetime) -> None:
    """Pack what was not packed when its build ended; what fails is tried again the next time."""
    for build in LogArchive.objects.awaited(at=at)[:ARCHIVED_AT_ONCE]:
        archive_log(build)


def archive_log(build: Build) -> None:
    """Pack the log of a build that has ended, if that was not done yet.

    First the file, then one transaction that lets it stand for the pieces: a crash in between
    leaves a file that the next try finds with the same bytes, for nobody may write pieces any
    more.
    """
    build.refresh_from_db()
    if not build.is_final or not LogChunk.objects.of(build.pk).exists():
        return
    key = build.release.key(log_name(build))
    try:
        with tempfile.NamedTemporaryFile(suffix=".log.gz") as file:
            path = Path(file.name)
            packed = pack(_chunks(build), path)
            _put(build, key, path)
    except OSError as error:
        logger.warning("the log of %s stays in the database for now: %s", build, error)
        return
    LogArchive.objects.take_over(build, key, packed)


def log_name(build: Build) -> str:
    """The name of a build's log among its release's files."""
    return f"build-{build.variant}-{build.release.system}.{build.attempt}.log.gz"


def log_digest(build: Build) -> str:
    """The lowercase hex SHA-256 of a log that is still in pieces: of what it is packed from."""
    digest = hashlib.sha256()
    for piece in _chunks(build):
        digest.update(piece.text.encode())
    return digest.hexdigest()


def pack(pieces: Iterable[Piece], target: Path) -> Packed:
    """Write pieces as gzip members of about 1 MiB of text; the same pieces give the same bytes."""
    index: list[list[int]] = []
    size = packed = last = 0
    with target.open("wb") as file:
        for first, end, text in _members(pieces):
            member = gzip.compress(text, compresslevel=6, mtime=0)
            index.append([first, packed])
            packed += file.write(member)
            size += len(text)
            last = end
    return Packed(index=index, lines=last, size=size, packed=packed)


def _members(pieces: Iterable[Piece]) -> Iterable[tuple[int, int, bytes]]:
    """First line, last line and text of each member: lines that follow each other."""
    first, last, text = 0, 0, bytearray()
    for piece in pieces:
        if text and (len(text) >= MEMBER_SIZE or piece.first != last + 1):
            yield first, last, bytes(text)
            text.clear()
        if not text:
            first = piece.first
        text += piece.text.encode()
        last = piece.last
    if text:
        yield first, last, bytes(text)


def _chunks(build: Build) -> Iterable[Piece]:
    number = -1
    while some := list(LogChunk.objects.of(build.pk).after(number)[:READ_AT_ONCE]):
        yield from (chunk.piece for chunk in some)
        number = some[-1].number


def _put(build: Build, key: str, path: Path) -> None:
    try:
        artifacts().put_once(key, path)
    except AlreadyStored:
        if LogArchive.objects.find(build.pk) is not None:
            return
        # Nothing names it: left by a try that died, with another version of the compressor.
        artifacts().delete(key)
        artifacts().put_once(key, path)
