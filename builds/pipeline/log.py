"""A build's log and progress on their way into the database."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings

from builds.builders.base import Progress
from builds.choices import Stage
from builds.models import Build, LogChunk, Piece
from builds.pipeline.patience import insist, riding_out

FLUSH_EVERY = 0.5
FLUSH_AT = 1024 * 1024
PIECE_SIZE = 64 * 1024
PROGRESS_EVERY = 1.0


class BuildLog:
    """Collects lines and writes them in chunks; used by one thread, under one lease.

    Whoever ticks it and flushes it gets LeaseLost once the build is somebody else's.
    """

    def __init__(self, build: Build) -> None:
        self._build = build
        self._window = _Window(build, settings.BUILD_LOG_LIMIT)
        self._lines: list[str] = []
        self._size = 0
        self._waiting = False
        self._next_line = 1
        self._flushed = float("-inf")  # the first line is written at once
        self._progress: Progress | None = None
        self._progress_written = 0.0
        self._stage = Stage.EVALUATE
        self._stage_since = time.monotonic()
        self.seconds: dict[str, float] = {}

    def line(self, text: str) -> None:
        """See LogSink."""
        self.extend([text])

    def extend(self, texts: Sequence[str]) -> None:
        """See LogSink."""
        whole = "\n".join(texts)
        if "\0" in whole or whole.count("\n") >= len(texts):
            texts = [_storable(text) for text in texts]
        self._lines += texts
        self._size += len(whole) + 1
        self.tick()

    def progress(self, progress: Progress) -> None:
        """See LogSink."""
        self._progress = progress
        self.tick()

    def stage(self, stage: Stage) -> None:
        """See LogSink."""
        if stage == self._stage:
            return
        self.close_stage()
        self._stage = stage
        insist(lambda: self._build.enter(stage, self.seconds), str(self._build))

    def close_stage(self) -> dict[str, float]:
        """Note how long the present stage took; the seconds of all stages so far."""
        now = time.monotonic()
        self.seconds[self._stage.value] = round(now - self._stage_since, 2)
        self._stage_since = now
        return self.seconds

    def tick(self) -> None:
        """Write what is due; called often."""
        now = time.monotonic()
        due = now - self._flushed >= FLUSH_EVERY or (self._size >= FLUSH_AT and not self._waiting)
        if due:
            with riding_out(f"the log of {self._build}"):
                self.flush()
        if self._progress is not None and now - self._progress_written >= PROGRESS_EVERY:
            with riding_out(f"the progress of {self._build}"):
                self._write_progress(now)

    def flush(self) -> None:
        """Write every line that is not written yet."""
        self._flushed = time.monotonic()
        if not self._lines:
            return
        self._waiting = True
        pieces = list(_pieces(self._lines, self._size, self._next_line))
        self._window.write(pieces)
        self._waiting = False
        self._next_line = pieces[-1].last + 1
        self._lines, self._size = [], 0

    def close(self) -> None:
        """Write what is left."""
        insist(self.flush, f"the log of {self._build}")
        if self._progress is not None:
            insist(lambda: self._write_progress(time.monotonic()), f"the end of {self._build}")

    def _write_progress(self, now: float) -> None:
        if self._progress is not None:
            self._build.advance(self._progress)
        self._progress = None
        self._progress_written = now


def _storable(text: str) -> str:
    # PostgreSQL's text takes every character but this one.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").replace("\n", " ")


def _pieces(lines: list[str], size: int, first: int) -> Iterator[Piece]:
    """Lines of so many characters in all as pieces: small ones, as a reader wants only some."""
    step = max(1, len(lines) * PIECE_SIZE // size)
    for at in range(0, len(lines), step):
        yield Piece(first + at, tuple(lines[at : at + step]))


@dataclass(frozen=True, slots=True)
class _Written:
    number: int
    piece_first: int
    size: int


class _Window:
    """Keeps a log within its limit: its first half stays, of the rest the newest.

    What falls out leaves one line in its place, so that every other line keeps its number.
    """

    def __init__(self, build: Build, limit: int) -> None:
        self._build = build
        self._limit = limit
        self._number = 0
        self._head = 0
        self._rest: deque[_Written] = deque()
        self._rest_size = 0
        self._gap_number: int | None = None
        self._gap_line = 0

    def write(self, pieces: Sequence[Piece]) -> None:
        """Write pieces, all or none."""
        LogChunk.objects.write(self._build, pieces, self._number)
        for piece in pieces:
            self._count(piece)
        # A little late, so that it is not done for every piece.
        if self._head + self._rest_size > self._limit + self._limit // 16:
            with riding_out(f"the limit of the log of {self._build}"):
                self._leave_out()

    def _count(self, piece: Piece) -> None:
        size = sum(map(len, piece.lines)) + len(piece.lines)
        if self._rest or self._head + size > self._limit // 2:
            self._rest.append(_Written(self._number, piece.first, size))
            self._rest_size += size
        else:
            self._head += size
        self._number += 1

    def _leave_out(self) -> None:
        if self._gap_number is None:
            self._gap_number, self._gap_line = self._rest[0].number, self._rest[0].piece_first
        last = self._gap_number
        while len(self._rest) > 1 and self._head + self._rest_size > self._limit:
            out = self._rest.popleft()
            self._rest_size -= out.size
            last = out.number
        note_at = self._rest[0].piece_first - 1
        count = note_at - self._gap_line + 1
        words = (
            f"… {count:,} lines were left out here: the log is longer than {self._limit:,} bytes …"
        )
        LogChunk.objects.leave_out(
            self._build, range(self._gap_number, last + 1), Piece(note_at, (words,))
        )
