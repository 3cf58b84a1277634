"""What `/metrics` tells, put together: never later than a scraper waits, never with a hole."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from django.conf import settings
from django.utils import timezone
from prometheus_client.metrics_core import Metric

from builds.deadline import Bounded, TookTooLong
from builds.meters import Meters
from builds.metrics.counted import counted
from builds.metrics.families import gauge, plain
from builds.metrics.freshness import freshness
from builds.metrics.machine import disks, processes
from builds.metrics.storage import storage
from builds.metrics.work import notices, queues, schedule
from builds.web.probes import answers

logger = logging.getLogger(__name__)

WITHIN = 5.0  # seconds; Prometheus gives up after 10
ROWS_KEPT = 15.0  # seconds
STORAGE_KEPT = 300.0  # a sum over all files: seconds, where there are a million
PATIENCE = 0.5  # seconds


class Kept:
    """Numbers that are read anew only when they are older than so many seconds.

    Where they `may_be_old`, nobody waits long for newer ones.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Iterable[Metric]],
        seconds: float,
        *,
        may_be_old: bool = False,
    ) -> None:
        self._ask = Bounded(f"metrics: {name}", self._renew)
        self._read = read
        self._seconds = seconds
        self._may_be_old = may_be_old
        self._found: list[Metric] | None = None
        self._read_at = float("-inf")

    def __call__(self, seconds: float) -> list[Metric]:
        """The numbers; raises what reading them raises, and TookTooLong."""
        found = self._found
        if found is not None and time.monotonic() - self._read_at < self._seconds:
            return found
        try:
            return self._ask(min(seconds, PATIENCE) if self._may_be_old else seconds)
        except TookTooLong:
            if found is None or not self._may_be_old:
                raise
            return found

    def forget(self) -> None:
        """Read anew the next time."""
        self._found = None

    def _renew(self) -> list[Metric]:
        found = list(self._read())
        self._found, self._read_at = found, time.monotonic()
        return found


def _rows() -> Iterator[Metric]:
    at = timezone.now()
    return chain(freshness(at), queues(at), notices(at), schedule(at))


# What only grows is kept by nobody: two processes that remember it each for themselves would let it
# go back and forth.
PARTS = {
    "totals": Kept("totals", counted, 0),
    "rows": Kept("rows", _rows, ROWS_KEPT),
    "storage": Kept("storage", storage, STORAGE_KEPT, may_be_old=True),
}


class Portal:
    """Everything; a collector for prometheus_client."""

    def collect(self) -> Iterator[Metric]:
        """Each family once; where the database does not answer, those that need none."""
        until = time.monotonic() + WITHIN
        yield from _about()
        yield from Meters().collect()
        yield from processes()
        yield from disks()
        yield from _answers()
        missing = []
        for name, part in PARTS.items():
            try:
                yield from part(until - time.monotonic())
            except Exception as error:  # noqa: BLE001 - what is missing is told as a number
                how = "late" if isinstance(error, TookTooLong) else type(error).__name__
                logger.warning("metrics without %s, %s: %s", name, how, error)
                missing.append(name)
        text = "1 where these numbers could be read for this answer."
        read = [((name,), name not in missing) for name in PARTS]
        yield gauge("portal_metrics_read", text, ("part",), read)


def _about() -> Iterator[Metric]:
    version = [((settings.VERSION,), 1)]
    yield gauge("portal_info", "The portal's version.", ("version",), version)
    yield plain(
        "portal_stale_after_seconds",
        "STALE_AFTER_DAYS, in seconds.",
        settings.STALE_AFTER_DAYS * 86400,
    )


def _answers() -> Iterator[Metric]:
    """What `/readyz` says."""
    found = answers()
    text = "1 where it answered within 3 s, as /readyz asks it."
    yield gauge("portal_part_up", text, ("part",), [((a.name,), not a.error) for a in found])
    text = "Seconds that it took to answer."
    yield gauge("portal_part_seconds", text, ("part",), [((a.name,), a.seconds) for a in found])
