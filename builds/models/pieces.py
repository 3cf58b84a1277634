"""Pieces: the SHA-1 of every part of an artifact, which torrents and metalinks name."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import models

from builds.models.artifact import Artifact

SHA1_SIZE = 20
_LEAST, _LARGEST = 2**18, 2**24
_MOST_PIECES = 2000


def piece_length(size: int) -> int:
    """The bytes of one piece of a file of `size` bytes: a power of two, the same for good.

    The infohash of a torrent depends on it.
    """
    length = _LEAST
    while length < _LARGEST and size > length * _MOST_PIECES:
        length *= 2
    return length


class PiecesQuerySet(models.QuerySet["Pieces"]):
    """Pieces by what one wants of them."""

    def of(self, artifact: Artifact) -> Pieces | None:
        """Those of an artifact; None while they have not been hashed."""
        return self.filter(artifact=artifact).first()

    def of_release(self, release_id: int) -> PiecesQuerySet:
        """Those of the artifacts of one release."""
        return self.filter(artifact__release=release_id)


class Pieces(models.Model):
    """The digests of an artifact's pieces, one after the other."""

    artifact = models.OneToOneField(
        Artifact, on_delete=models.CASCADE, primary_key=True, related_name="pieces"
    )
    length = models.PositiveIntegerField(help_text="Bytes of each piece but the last.")
    sha1 = models.BinaryField(help_text="20 bytes for each piece.")
    hashed_at = models.DateTimeField()

    objects = PiecesQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "pieces"
        constraints = [
            models.CheckConstraint(name="piece_is_not_empty", condition=models.Q(length__gt=0)),
        ]

    def __str__(self) -> str:
        return f"pieces of {self.artifact}"

    def digests(self) -> Iterator[str]:
        """The SHA-1 of each piece as lowercase hex."""
        data = bytes(self.sha1)
        return (data[at : at + SHA1_SIZE].hex() for at in range(0, len(data), SHA1_SIZE))
