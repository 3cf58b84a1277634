"""A build's log and progress on their way into the database."""

from __future__ import annotations

import time

from builds.builders.base import Progress
from builds.choices import Stage
from builds.models import Build, LogChunk
from builds.pipeline.patience import insist, riding_out

FLUSH_EVERY = 0.5
FLUSH_AT = 64 * 1024
PROGRESS_EVERY = 1.0


class BuildLog:
    """Collects lines and writes them in chunks; used by one thread, under one lease."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._lines: list[str] = []
        self._size = 0
        self._chunk = 0
        self._waiting = False
        self._next_line = 1
        self._flushed = time.monotonic()
        self._progress: Progress | None = None
        self._progress_written = 0.0
        self._stage = Stage.EVALUATE
        self._stage_since = time.monotonic()
        self.seconds: dict[str, float] = {}

    def line(self, text: str) -> None:
        """See LogSink."""
        # PostgreSQL's text takes every character but this one.
        self._lines.append(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
        self._size += len(text) + 1
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
        # Written again where the database went away before it could say that it has it.
        LogChunk.objects.update_or_create(
            build=self._build,
            number=self._chunk,
            defaults={"first_line": self._next_line, "text": "\n".join(self._lines) + "\n"},
        )
        self._waiting = False
        self._chunk += 1
        self._next_line += len(self._lines)
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
