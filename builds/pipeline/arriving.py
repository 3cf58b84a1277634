"""The bytes of arriving files: stored in parts as they come, read again, checked, let go."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from builds.models import Arrival, ArrivedPart, ArrivingFile, NotAllowed
from builds.points import point
from builds.storage import INCOMING, Stored, arrival_key, artifacts, is_arrival
from builds.storage.base import BLOCK, Tick, blocks, nothing

logger = logging.getLogger(__name__)

PART_SIZE = 8 * 1024 * 1024
PARTS_MOST = 4096  # of one file: 32 GiB where parts are whole


class WrongPlace(NotAllowed):
    """Bytes for another place than where the file goes on; `offset` is where it does."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The file goes on at byte {offset}.")
        self.offset = offset


class WrongDigest(NotAllowed):
    """The bytes that came are not those that were declared."""


def take_in(file: ArrivingFile, start: int, chunks: Iterable[bytes], *, at: datetime) -> None:
    """Store bytes from `start` on as they come, in parts; what came stays where they break off.

    Where they complete the file it is checked. Raises WrongPlace, WrongDigest, OSError.
    """
    if start != file.received or file.verified_at is not None:
        raise WrongPlace(file.received)
    if file.parts.count() >= PARTS_MOST:
        raise NotAllowed(
            f"{file.name} came in {PARTS_MOST} pieces; delete it, and send larger ones."
        )
    digest = hashlib.sha256()
    for part in _gathered(chunks):
        digest.update(part)
        _store(file, part)
        file.arrival.touch(at=at)
    if file.is_whole:
        # What came in one go was hashed on the way.
        is_all = start == 0
        check(file, Stored(file.size, digest.hexdigest()) if is_all else None, at=at)


def adopt_file(file: ArrivingFile, path: Path, *, at: datetime, tick: Tick = nothing) -> None:
    """Store a file of this machine as an arriving one, hashing it. Raises WrongDigest, OSError."""
    key = arrival_key(file.pk, 0, _tag())
    stored = artifacts().put_once(key, path, tick=tick)
    if stored.size != file.size:
        artifacts().delete(key)
        raise NotAllowed(f"{path.name} changed while it was read.")
    file.take(ArrivedPart(file=file, start=0, size=stored.size, key=key))
    check(file, stored, at=at)


def check(file: ArrivingFile, stored: Stored | None = None, *, at: datetime) -> None:
    """Compare a file that is all here with what was declared; the wrong one is removed.

    `stored` is what is known of its bytes, which are read again without it. Raises WrongDigest.
    """
    if not file.is_whole or file.verified_at is not None:
        return
    found = stored or _read_again(file)
    if file.sha256 and found.sha256 != file.sha256:
        delete(file.forget())
        raise WrongDigest(
            f"The SHA-256 of {file.name} is {found.sha256}, and {file.sha256} was declared; what "
            "came is removed."
        )
    point("arrival: file is whole")
    file.verify(found, at=at)


def bytes_of(file: ArrivingFile) -> Iterator[bytes]:
    """A file's bytes in blocks, from its parts. Raises OSError."""
    for part in file.parts.all():
        with artifacts().open_range(part.key, 0, part.size) as stored:
            yield from blocks(stored, BLOCK)


def forget(arrival: Arrival) -> bool:
    """Remove an arrival with what came of it; false where it was gone."""
    keys = list(ArrivedPart.objects.of([arrival]).values_list("key", flat=True))
    removed, _ = Arrival.objects.filter(pk=arrival.pk).delete()
    delete(keys)
    return bool(removed)


def delete(keys: Iterable[str]) -> None:
    """Remove stored parts; `collect` does it where this can't."""
    for key in keys:
        try:
            artifacts().delete(key)
        except OSError as error:
            logger.warning("%s is left to be collected: %s", key, error)


def done_with(*, at: datetime) -> Iterator[Arrival]:
    """The arrivals whose files nobody needs any more."""
    since = at - timedelta(hours=settings.UPLOAD_KEPT_HOURS)
    yield from Arrival.objects.done(since).select_related("channel")


def stray_parts(*, before: datetime) -> list[str]:
    """The keys of parts that no row names, of writers that broke off before then."""
    named = set(ArrivedPart.objects.values_list("key", flat=True))
    return [
        file.key
        for file in artifacts().walk(INCOMING)
        if is_arrival(file.key) and file.key not in named and file.modified_at <= before
    ]


def _store(file: ArrivingFile, data: bytes) -> None:
    key = arrival_key(file.pk, file.received, _tag())
    artifacts().write_once(key, data)
    point("arrival: part stored")
    part = ArrivedPart(file=file, start=file.received, size=len(data), key=key)
    if not file.take(part):
        delete([key])
        file.refresh_from_db()
        raise WrongPlace(file.received)
    point("arrival: part noted")


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts of PART_SIZE; also what came before they broke off."""
    waiting = bytearray()
    try:
        for chunk in chunks:
            waiting += chunk
            while len(waiting) >= PART_SIZE:
                yield bytes(waiting[:PART_SIZE])
                del waiting[:PART_SIZE]
    except OSError as error:
        logger.info("an upload broke off: %s", error)
    if waiting:
        yield bytes(waiting)


def _read_again(file: ArrivingFile) -> Stored:
    digest = hashlib.sha256()
    size = 0
    for block in bytes_of(file):
        digest.update(block)
        size += len(block)
    return Stored(size, digest.hexdigest())


def _tag() -> str:
    return secrets.token_hex(8)
