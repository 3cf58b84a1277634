"""Counts of downloads on their way: in this process, then in Redis; nobody waits for them."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import redis
from django.conf import settings
from redis.exceptions import RedisError, ResponseError, WatchError

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 3.0
MOST_KEPT = 100_000  # pairs of artifact and day: some 30 MB, while Redis is away
REMEMBERED = 24 * 3600  # seconds that a flush which got no answer is known by its name
HASH = "portal:downloads"
TAKEN = "portal:downloads:taken:"
FLUSHED = "portal:downloads:flushed:"
AWAY = (RedisError, OSError)

Key = tuple[int, date]  # an artifact's primary key, a day in UTC


@dataclass(slots=True)
class Count:
    """Downloads that began, and the bytes of all answers."""

    count: int = 0
    bytes: int = 0


Counts = dict[Key, Count]


@dataclass(slots=True)
class Batch:
    """Counts that go to Redis together, once, however often that is tried."""

    counts: Counts
    name: str = field(default_factory=lambda: uuid.uuid4().hex)


class Tally:
    """Adds up in memory; a thread of its own hands on what has come together.

    A process that is killed loses what it counted since its last flush. While Redis is away, all
    is kept up to `most` pairs of artifact and day; pairs past that are left out and logged.
    """

    def __init__(self, url: str, *, seconds: float = FLUSH_SECONDS, most: int = MOST_KEPT) -> None:
        self._url = url
        self._seconds = seconds
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Begin with nothing; in a forked process the counts are the parent's to hand on."""
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._counts: Counts = {}
        self._waiting: Batch | None = None
        self._left_out = 0
        self._is_away = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def note(self, artifact: int, day: date, *, begun: bool, size: int) -> None:
        """Count an answer of `size` bytes; `begun` where it starts the file."""
        key = (artifact, day)
        with self._lock:
            found = self._counts.get(key)
            if found is None:
                if self._is_full():
                    self._left_out += 1
                    return
                found = self._counts[key] = Count()
            found.count += begun
            found.bytes += size
            if self._thread is None:
                self._start()

    def flush(self) -> bool:
        """Hand on what has come together; false where Redis is away and all of it was kept."""
        with self._flushing:
            try:
                with _client(self._url) as client:
                    while batch := self._next():
                        _add(client, batch)
                        self._waiting = None
            except AWAY as error:
                self._say_away(error)
                return False
        self._say_back()
        return True

    def kept(self) -> int:
        """How many pairs of artifact and day this process still holds."""
        with self._lock:
            return len(self._counts) + self._in_waiting()

    def stop(self) -> None:
        """End the thread and hand on the rest."""
        self._stop.set()
        if self._counts or self._waiting:
            self.flush()

    def _next(self) -> Batch | None:
        if self._waiting is None:
            with self._lock:
                if self._counts:
                    self._waiting, self._counts = Batch(self._counts), {}
        return self._waiting

    def _is_full(self) -> bool:
        return len(self._counts) + self._in_waiting() >= self._most

    def _in_waiting(self) -> int:
        waiting = self._waiting
        return len(waiting.counts) if waiting else 0

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="download-counts", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.flush()

    def _say_away(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning("download counts wait in memory, Redis is away: %s", error)
        self._is_away = True

    def _say_back(self) -> None:
        if self._is_away:
            logger.info("download counts go to Redis again")
        self._is_away = False
        if self._left_out:
            logger.warning("%s downloads were not counted: too many files", self._left_out)
            self._left_out = 0


def taken(url: str) -> Iterator[tuple[str, Counts]]:
    """Batches with their names, each out of the way of new counts; `drop` those that are stored.

    First those that an earlier reader left behind; then all that has come together since.
    """
    with _client(url) as client:
        with suppress(ResponseError):  # there is nothing new
            client.renamenx(HASH, f"{TAKEN}{uuid.uuid4().hex}")
        for key in sorted(client.scan_iter(match=f"{TAKEN}*", count=1000)):
            yield key.decode().removeprefix(TAKEN), _read(client, key)


def drop(url: str, name: str) -> None:
    """Remove a batch that is stored."""
    with _client(url) as client:
        client.delete(f"{TAKEN}{name}")


def _client(url: str) -> redis.Redis:
    path = url.removeprefix("redis+socket://")
    address = url if path == url else f"unix://{path}"
    return redis.Redis.from_url(address, socket_timeout=5, socket_connect_timeout=2)


def _add(client: redis.Redis, batch: Batch) -> None:
    """Add a batch unless it is there: an answer may be lost after Redis has done it."""
    mark = f"{FLUSHED}{batch.name}"
    with client.pipeline() as pipe, suppress(WatchError):
        pipe.watch(mark)  # type: ignore[no-untyped-call]
        if pipe.exists(mark):
            return
        pipe.multi()
        pipe.set(mark, 1, ex=REMEMBERED)
        for (artifact, day), count in batch.counts.items():
            pipe.hincrby(HASH, f"{artifact} {day} count", count.count)
            pipe.hincrby(HASH, f"{artifact} {day} bytes", count.bytes)
        pipe.execute()


def _read(client: redis.Redis, key: bytes) -> Counts:
    counts: Counts = {}
    fields: Any = client.hgetall(key)
    for name, number in fields.items():
        artifact, day, what = name.decode().split(" ")
        count = counts.setdefault((int(artifact), date.fromisoformat(day)), Count())
        setattr(count, what, int(number))
    return counts


downloads = Tally(settings.REDIS_URL)
atexit.register(downloads.stop)
os.register_at_fork(after_in_child=downloads.forget)
