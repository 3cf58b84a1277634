"""Keeping a lease alive while long work runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from django.db import DatabaseError, connection

from builds.models import HEARTBEAT, LeaseLost, Release

logger = logging.getLogger(__name__)


@contextmanager
def holding(release: Release, worker: str) -> Iterator[bool]:
    """Hold a draft while it is planned or published; false where somebody else is at it."""
    if not release.hold(worker):
        yield False
        return
    try:
        with Heartbeat(release):
            yield True
    finally:
        release.let_go()


class Beating(Protocol):
    """A row whose lease is renewed by `beat`."""

    pk: int

    def beat(self) -> None:
        """Renew the lease; raises LeaseLost."""


class Heartbeat:
    """Renews a lease from a thread of its own, until the block ends or the lease is lost."""

    def __init__(self, row: Beating, *, every: float = HEARTBEAT.total_seconds()) -> None:
        self._row = row
        self._every = every
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat {row.pk}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def lost(self) -> bool:
        """Whether the lease is somebody else's by now: stop working."""
        return self._lost.is_set()

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._every):
                self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        try:
            self._row.beat()
        except LeaseLost:
            self._lost.set()
            self._stop.set()
        except DatabaseError as error:
            # The next beat may reach the database again; the lease outlives a few missed ones.
            logger.warning("heartbeat of %s %s: %s", type(self._row).__name__, self._row.pk, error)
            connection.close()
