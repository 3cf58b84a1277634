"""A build's log and progress as server-sent events, for one watcher."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.conf import settings
from django.db import connection

from builds.logs.hub import Batch, Feed, News, batch, event, hub
from builds.logs.reading import pieces

STILL_HERE_EVERY = 15.0  # seconds
RECONNECT_AFTER = 3000  # milliseconds
STILL_HERE = b": still here\n\n"


class Watcher:
    """Everything of one build from a line on, until it has ended; raises TooManyWatchers.

    `log` events have the number of their last line as id: who comes back with it gets what
    follows, nothing twice and nothing left out. With `tail` lines that are farther from the end
    are skipped. Close it, or its place stays taken.
    """

    def __init__(self, build_id: int, *, after: int = 0, tail: int = 0) -> None:
        self._build_id = build_id
        self._seen = after
        self._tail = tail
        self._stage = ""
        self._feed: Feed | None = hub.join(build_id, settings.WATCHERS_MOST)

    def close(self) -> None:
        """Give the place free."""
        if self._feed is not None:
            self._feed = None
            hub.leave(self._build_id)

    def __iter__(self) -> Iterator[bytes]:
        yield f"retry: {RECONNECT_AFTER}\n\n".encode()
        version, progress = 0, None
        while (feed := self._feed) is not None:
            news = feed.wait(version, STILL_HERE_EVERY)
            if news is None:
                yield STILL_HERE
                continue
            version = news.version
            yield from self._lines(news)
            if news.progress != progress:
                progress = news.progress
                yield from self._progress(news)
            if news.is_final:
                yield event("end", json.dumps({"status": news.progress["status"]}))
                return

    def _progress(self, news: News) -> Iterator[bytes]:
        yield event("progress", json.dumps(news.progress))
        if news.progress["stage"] != self._stage:
            self._stage = news.progress["stage"]
            yield event("stage", json.dumps({"stage": self._stage}))

    def _lines(self, news: News) -> Iterator[bytes]:
        if self._tail and news.last - self._seen > self._tail:
            self._skip(news)
        if news.is_final or not _reaches_back(news.batches, self._seen):
            yield from self._read()
        for ready in news.batches:
            if ready.first > self._seen:
                self._seen = ready.last
                yield ready.event

    def _skip(self, news: News) -> None:
        """Go to about `tail` lines before the end, where a batch begins if one is near."""
        wanted = news.last - self._tail + 1
        starts = (ready.first for ready in news.batches if ready.first <= wanted)
        self._seen = max(self._seen, max(starts, default=wanted) - 1)

    def _read(self) -> Iterator[bytes]:
        """What no feed keeps any more, from the database or the archive."""
        try:
            for piece in pieces(self._build_id, self._seen + 1):
                self._seen = piece.last
                yield batch(piece).event
        finally:
            let_go()


def _reaches_back(batches: tuple[Batch, ...], seen: int) -> bool:
    """Whether all that follows a line is in these batches, none of them cut by it."""
    if not batches:
        return True
    return any(ready.first == seen + 1 for ready in batches) or seen >= batches[-1].last


def let_go() -> None:
    """Give this thread's database connection back before a long silence."""
    if not connection.in_atomic_block:
        connection.close()
