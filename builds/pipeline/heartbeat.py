"""Keeping a lease alive while long work runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from django.conf import settings
from django.db import Error, connection

from builds.log_ids import inherited
from builds.models import LeaseLost, Release
from builds.points import point

logger = logging.getLogger(__name__)


@contextmanager
def holding(release: Release, worker: str) -> Iterator[bool]:
    """Hold a draft while it is planned or published; false where somebody else is at it."""
    if not release.hold(worker):
        yield False
        return
    try:
        point("draft: held")
        with Heartbeat(release):
            yield True
        point("draft: before it is let go")
    finally:
        release.let_go()


class Beating(Protocol):
    """A row whose lease is renewed by `beat`."""

    pk: int

    def beat(self) -> None:
        """Renew the lease; raises LeaseLost."""


class Heartbeat:
    """Renews a lease from a thread of its own, until the block ends or the lease is lost."""

    def __init__(self, row: Beating) -> None:
        self._row = row
        self._every = settings.HEARTBEAT_SECONDS
        self._heard = time.monotonic()
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(
            target=inherited(self._run), name=f"heartbeat {row.pk}", daemon=True
        )

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
        """Whether the lease is somebody else's by now, or may be: stop working.

        It may be where no beat came through for a whole lease: the database was away, or this
        process was paused.
        """
        return self._lost.is_set() or time.monotonic() - self._heard > settings.LEASE_SECONDS

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._every):
                self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        try:
            asked = time.monotonic()
            self._row.beat()
            self._heard = asked
        except LeaseLost:
            self._lost.set()
            self._stop.set()
        except Error as error:
            # The next beat may reach the database again; the lease outlives a few missed ones.
            logger.warning("heartbeat of %s %s: %s", type(self._row).__name__, self._row.pk, error)
            connection.close()
