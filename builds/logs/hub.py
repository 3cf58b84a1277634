"""One thread a process that asks the database what is new, for all who watch builds there."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, connection
from django.utils import timezone

from builds import meters
from builds.logs.ansi import Span, spans
from builds.models import Build, LogChunk, Piece

logger = logging.getLogger(__name__)

# Seconds. The first news after a silence goes out at once; while lines flow they go in bunches,
# for each bunch is sent to every watcher. A look that takes long is followed by a longer pause.
LOOK_EVERY = 0.1
LOOK_AFTER_NEWS = 0.5
PAUSE_PER_LOOK = 10
KEPT_PIECES = 16  # of 64 KiB

LineShape = str | list[list[str]]


class TooManyWatchers(Exception):
    """This process has as many watchers as it may have; poll instead."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines as an event that is ready to be sent."""

    first: int
    last: int
    event: bytes


@dataclass(frozen=True, slots=True)
class News:
    """What a build's feed knows at one moment."""

    version: int = 0
    batches: tuple[Batch, ...] = ()
    last: int = 0
    progress: dict[str, Any] = field(default_factory=dict)
    is_final: bool = False


class Feed:
    """What is new of one build, and those who wait for it."""

    def __init__(self) -> None:
        self.watchers = 0
        self.number = -1
        self.expected: timedelta | None = None
        self.knows_expected = False
        self._news = News()
        self._batches: deque[Batch] = deque(maxlen=KEPT_PIECES)
        self._changed = threading.Condition()

    def wait(self, version: int, seconds: float) -> News | None:
        """What is known once it is newer than this version; None after so many seconds."""
        with self._changed:
            newer = self._changed.wait_for(lambda: self._news.version > version, seconds)
            return self._news if newer else None

    def tell(self, pieces: list[Piece], progress: dict[str, Any], *, is_final: bool) -> None:
        """Take what the database holds now; wakes the watchers where that is new."""
        if not pieces and progress == self._news.progress and is_final == self._news.is_final:
            return
        if len(pieces) == KEPT_PIECES:
            self._batches.clear()  # there may be others before them
        self._batches.extend(batch(piece) for piece in pieces)
        with self._changed:
            self._news = News(
                version=self._news.version + 1,
                batches=tuple(self._batches),
                last=self._batches[-1].last if self._batches else 0,
                progress=progress,
                is_final=is_final,
            )
            self._changed.notify_all()


class Hub:
    """The feeds of one process. Its thread lives only while somebody watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._feeds: dict[int, Feed] = {}
        self._thread: threading.Thread | None = None

    @property
    def watchers(self) -> int:
        """How many watch in this process."""
        with self._lock:
            return sum(feed.watchers for feed in self._feeds.values())

    def join(self, build_id: int, most: int) -> Feed:
        """Begin to watch a build; raises TooManyWatchers where so many watch already."""
        with self._lock:
            if sum(feed.watchers for feed in self._feeds.values()) >= most:
                meters.WATCHERS_REFUSED.inc()
                raise TooManyWatchers
            feed = self._feeds.setdefault(build_id, Feed())
            feed.watchers += 1
            meters.WATCHERS.inc()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchers", daemon=True)
                self._thread.start()
            return feed

    def leave(self, build_id: int) -> None:
        """End to watch a build."""
        with self._lock:
            feed = self._feeds[build_id]
            feed.watchers -= 1
            meters.WATCHERS.dec()
            if not feed.watchers:
                del self._feeds[build_id]

    def _run(self) -> None:
        with _own_connection():
            while feeds := self._watched():
                begun, pause = time.monotonic(), LOOK_AFTER_NEWS
                try:
                    if not look(feeds):
                        pause = LOOK_EVERY
                except Error as error:
                    # Watchers keep waiting; the database may be back the next time.
                    logger.warning("the live logs wait for the database: %s", error)
                    connection.close()
                time.sleep(max(pause, PAUSE_PER_LOOK * (time.monotonic() - begun)))

    def _watched(self) -> dict[int, Feed]:
        with self._lock:
            if not self._feeds:
                self._thread = None
            return dict(self._feeds)


hub = Hub()


def look(feeds: dict[int, Feed]) -> bool:
    """Tell each feed what is new of its build, and say whether any line is.

    The status is read before the lines.
    """
    at = timezone.now()
    came = False
    for build in Build.objects.with_release().filter(pk__in=feeds):
        feed = feeds[build.pk]
        if not feed.knows_expected and not build.is_final:  # it looks through its channel's history
            feed.expected = Build.objects.like(build).usual_duration()
            feed.knows_expected = True
        newest = LogChunk.objects.of(build.pk).after(feed.number).order_by("-number")
        chunks = list(newest[:KEPT_PIECES])[::-1]
        feed.tell(
            [chunk.piece for chunk in chunks],
            progress_of(build, feed.expected, at=at),
            is_final=build.is_final,
        )
        feed.number = chunks[-1].number if chunks else feed.number
        came = came or bool(chunks)
    return came


def progress_of(build: Build, expected: timedelta | None, *, at: datetime) -> dict[str, Any]:
    """How far a build is: counts, bytes, and seconds; expected_seconds is None where unknown."""
    return {
        "status": build.status,
        "stage": build.stage,
        "percent": build.percent if build.expects_something else None,
        "derivations_done": build.derivations_done,
        "derivations_expected": build.derivations_expected,
        "bytes_done": build.bytes_done,
        "bytes_expected": build.bytes_expected,
        "started_at": build.started_at.isoformat() if build.started_at else None,
        "expected_seconds": round(expected.total_seconds()) if expected else None,
    }


def batch(piece: Piece) -> Batch:
    """A piece as an event: its id is the number of its last line."""
    lines = [shape(line) for line in piece.lines]
    data = json.dumps({"first": piece.first, "lines": lines}, ensure_ascii=False)
    return Batch(piece.first, piece.last, event("log", data, number=piece.last))


def shape(line: str) -> LineShape:
    """A line for JSON: its text, or where it has colours, runs of [text, classes]."""
    return shape_of(spans(line))


def shape_of(runs: Sequence[Span]) -> LineShape:
    """The same for a line that is parsed already."""
    if len(runs) == 1 and not runs[0].classes:
        return runs[0].text
    return [[run.text, run.classes] for run in runs]


def event(name: str, data: str, *, number: int | None = None) -> bytes:
    """One server-sent event; the data has no ends of lines."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode()


@contextmanager
def _own_connection() -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()
