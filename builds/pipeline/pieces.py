"""Hashing published files in pieces, for the torrents and metalinks of them."""

from __future__ import annotations

import hashlib
import logging
import time
from datetime import datetime

from builds.models import Artifact, Pieces, piece_length
from builds.pipeline.scrub import Pace, scrub
from builds.storage import artifacts
from builds.storage.base import blocks

logger = logging.getLogger(__name__)


class PieceHashes:
    """Hashes a file that goes by in blocks of any size: as a whole, and piece by piece."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._whole = hashlib.sha256()
        self._piece = _sha1()
        self._room = length
        self._ended = bytearray()

    def update(self, block: bytes) -> None:
        """Take the next bytes."""
        self._whole.update(block)
        rest = memoryview(block)
        while rest:
            part, rest = rest[: self._room], rest[self._room :]
            self._piece.update(part)
            self._room -= len(part)
            if not self._room:
                self._end_piece()

    @property
    def sha256(self) -> str:
        """The lowercase hex SHA-256 of all that went by."""
        return self._whole.hexdigest()

    @property
    def sha1(self) -> bytes:
        """The SHA-1 of each piece, one after the other; the last may be short."""
        is_open = self._room < self._length
        return bytes(self._ended) + (self._piece.digest() if is_open else b"")

    def _end_piece(self) -> None:
        self._ended += self._piece.digest()
        self._piece, self._room = _sha1(), self._length


def hash_pieces(*, at: datetime, rate: float | None, seconds: float) -> int:
    """Hash published files that have no pieces yet, the newest first, for so many seconds.

    How many were hashed. Doing it twice, or twice at once, stores the same.
    """
    ends = time.monotonic() + seconds
    pace = Pace(rate)
    hashed = 0
    for artifact in Artifact.objects.without_pieces():
        if time.monotonic() > ends:
            break
        try:
            hashed += _hash(artifact, pace, at)
        except OSError as error:
            logger.warning("the pieces of %s are hashed later: %s", artifact.key, error)
    return hashed


def _hash(artifact: Artifact, pace: Pace, at: datetime) -> bool:
    """Store an artifact's pieces; of wrong bytes none, those are for the scrubber to tell."""
    hashes = PieceHashes(piece_length(artifact.size))
    with artifacts().open_range(artifact.key, 0, artifact.size) as source:
        for block in blocks(source):
            hashes.update(block)
            pace.read(len(block))
    if hashes.sha256 != artifact.sha256:
        scrub([artifact.release], at=at, pace=pace)
        return False
    _, is_new = Pieces.objects.get_or_create(
        artifact=artifact,
        defaults={
            "length": piece_length(artifact.size),
            "sha1": hashes.sha1,
            "hashed_at": at,
        },
    )
    return is_new


def _sha1() -> hashlib._Hash:
    # BitTorrent's choice; who joins by a torrent also has the SHA-256 of the whole.
    return hashlib.sha1(usedforsecurity=False)
