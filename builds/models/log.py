"""Logs of builds: pieces in the database while they run, one compressed file afterwards."""

from __future__ import annotations

import gzip
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models, transaction
from django.db.models import Exists, OuterRef

from builds.choices import BuildStatus
from builds.models.build import RUNNING, Build
from builds.models.lease import lease_end
from builds.storage import artifacts

ARCHIVED_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a log that follow each other; the first one's number counts from 1."""

    first: int
    lines: tuple[str, ...]

    @property
    def last(self) -> int:
        """The number of its last line."""
        return self.first + len(self.lines) - 1

    @property
    def text(self) -> str:
        """Its lines as one text, each with its end."""
        return "\n".join(self.lines) + "\n"

    def since(self, number: int) -> Piece:
        """What of it begins with this line; the piece itself where it begins later."""
        past = max(0, number - self.first)
        return Piece(self.first + past, self.lines[past:]) if past else self


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a text that ends with an end of line."""
    return tuple(text.removesuffix("\n").split("\n"))


class LogChunkQuerySet(models.QuerySet["LogChunk"]):
    """Pieces of logs."""

    def of(self, build_id: int) -> LogChunkQuerySet:
        """Those of one build, in order."""
        return self.filter(build_id=build_id)

    def holding(self, line: int) -> LogChunkQuerySet:
        """The one that holds a line, of one build, and all after it."""
        before = self.filter(first_line__lte=line).order_by("-first_line")
        number = before.values_list("number", flat=True).first()
        return self if number is None else self.filter(number__gte=number)

    def after(self, number: int) -> LogChunkQuerySet:
        """Those that were written after the one with this number."""
        return self.filter(number__gt=number)

    def write(self, build: Build, pieces: Sequence[Piece], number: int) -> None:
        """Add pieces, numbered from this one on, under the lease that the build's instance holds.

        Raises LeaseLost, so that a worker that was given up, and an archive that was made since,
        never meet.
        """
        rows = [
            LogChunk(build=build, number=at, first_line=piece.first, text=piece.text)
            for at, piece in enumerate(pieces, start=number)
        ]
        with transaction.atomic():
            build.write(RUNNING, lease_until=lease_end())
            # Written again where the database went away before it could say that it has it.
            self.bulk_create(
                rows,
                update_conflicts=True,
                unique_fields=["build", "number"],
                update_fields=["first_line", "text"],
            )

    def leave_out(self, build: Build, numbers: range, note: Piece) -> None:
        """Put one line that says so in the place of these chunks; raises LeaseLost."""
        with transaction.atomic():
            build.write(RUNNING, lease_until=lease_end())
            mine = self.filter(build=build)
            mine.filter(number__gte=numbers[0], number__lt=numbers[-1]).delete()
            mine.filter(number=numbers[-1]).update(first_line=note.first, text=note.text)


class LogChunk(models.Model):
    """A run of whole lines of a build's log, in the order in which they came.

    In the database, so that any web process can show the log of a build on any worker. Numbers
    have gaps where the middle of a log that grew too long was left out.
    """

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="log_chunks")
    number = models.PositiveIntegerField(help_text="From 0.")
    first_line = models.PositiveIntegerField(help_text="From 1.")
    text = models.TextField()

    objects = LogChunkQuerySet.as_manager()

    class Meta:
        ordering = ["build", "number"]
        constraints = [
            models.UniqueConstraint(name="one_chunk_per_number", fields=["build", "number"]),
        ]
        indexes = [models.Index(name="chunk_by_line", fields=["build", "first_line"])]

    def __str__(self) -> str:
        return f"log of build {self.build_id}, piece {self.number}"

    @property
    def piece(self) -> Piece:
        """Its lines."""
        return Piece(self.first_line, lines_of(self.text))


@dataclass(frozen=True, slots=True)
class Packed:
    """A log as it was packed: gzip members one after the other, each of lines in a row.

    `index` says of each member which line it begins with and at which byte; `size` and `packed`
    are bytes before and after, `lines` is the number of the last line.
    """

    index: list[list[int]]
    lines: int
    size: int
    packed: int


class LogArchiveQuerySet(models.QuerySet["LogArchive"]):
    """Logs of builds that have ended."""

    def find(self, build_id: int) -> LogArchive | None:
        """That of one build, None while it has none."""
        return self.filter(build_id=build_id).first()

    def awaited(self, *, at: datetime) -> models.QuerySet[Build]:
        """The builds that ended a while ago and whose log is still in pieces."""
        pieces = LogChunk.objects.filter(build=OuterRef("pk"))
        return Build.objects.with_release().filter(
            Exists(pieces),
            status__in=BuildStatus.final(),
            finished_at__lte=at - ARCHIVED_AFTER,
        )

    def take_over(self, build: Build, key: str, packed: Packed) -> bool:
        """Let the stored file stand for the pieces; false where another process was faster."""
        with transaction.atomic():
            _, made = self.get_or_create(
                build=build,
                defaults={
                    "key": key,
                    "index": packed.index,
                    "lines": packed.lines,
                    "size": packed.size,
                    "packed_size": packed.packed,
                },
            )
            LogChunk.objects.filter(build=build).delete()
        return made


class LogArchive(models.Model):
    """The log of a build that has ended, in one gzip file of the storage.

    The file has a member for each MiB or so, and `index` tells where each begins, so that lines
    from the middle are read without unpacking what stands before them.
    """

    build = models.OneToOneField(Build, on_delete=models.CASCADE, related_name="log_archive")
    key = models.CharField(max_length=300, unique=True)
    index = models.JSONField(help_text="[first line, first byte] of each member.")
    lines = models.PositiveIntegerField(help_text="The number of the last line.")
    size = models.PositiveBigIntegerField(help_text="Bytes of text.")
    packed_size = models.PositiveBigIntegerField(help_text="Bytes of the file.")

    objects = LogArchiveQuerySet.as_manager()

    def __str__(self) -> str:
        return f"log of build {self.build_id}, archived"

    def pieces(self, first: int = 1) -> Iterator[Piece]:
        """Its lines from this one on, a member at a time; raises FileNotFoundError, OSError."""
        storage = artifacts()
        at = max(0, bisect_right(self.index, first, key=lambda member: member[0]) - 1)
        for number in range(at, len(self.index)):
            line, start = self.index[number]
            end = self.packed_size if number + 1 == len(self.index) else self.index[number + 1][1]
            with storage.open_range(self.key, start, end - start) as member:
                text = gzip.decompress(member.read()).decode()
            yield Piece(line, lines_of(text))
