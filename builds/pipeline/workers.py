"""A worker's own row: it says by heartbeat that it is there, what it serves and what it has."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from builds.builders.base import Builder
from builds.choices import CheckName, System
from builds.emulator.accelerator import accelerator
from builds.models import Check, Release, Worker
from builds.pipeline import space

logger = logging.getLogger(__name__)


class Presence:
    """Registers a worker and beats from a thread of its own until it is told to leave."""

    def __init__(
        self,
        name: str,
        queues: Callable[[], Iterable[str]],
        capacity: int,
        builder: Builder,
        *,
        every: float | None = None,
    ) -> None:
        self._name = name
        self._queues = queues
        self._capacity = capacity
        self._builder = builder
        self._every = settings.HEARTBEAT_SECONDS if every is None else every
        self._row: Worker | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Begin to say that the worker is there."""
        self._thread.start()

    def leave(self) -> None:
        """Say that the worker stops."""
        self._stop.set()
        self._thread.join(self._every)

    def _run(self) -> None:
        facts: dict[str, object] = {}
        self._safely(self._beat)
        facts |= self._facts()
        while True:
            self._safely(lambda: self._beat(**facts))
            if self._stop.wait(self._every):
                break
        self._safely(self._go)

    def _beat(self, **facts: object) -> None:
        queues = sorted(self._queues())
        if self._row is None:
            now = timezone.now()
            self._row = Worker.objects.arrive(self._name, queues, self._capacity, at=now)
            Worker.objects.forgotten(now).delete()
        self._row.beat(
            queues=queues,
            store_free=space.free(space.NIX_STORE),
            data_free=space.free(settings.DATA_DIR),
            **facts,
        )

    def _go(self) -> None:
        if self._row is not None:
            self._row.leave()

    def _facts(self) -> dict[str, object]:
        """What does not change while the worker runs; finding it out takes seconds."""
        return {
            "portal_version": settings.VERSION,
            "nix_version": self._builder.version(),
            "accelerator": _accelerator(),
        }

    def _safely(self, act: Callable[[], None]) -> None:
        """The next beat may reach the database again, and nothing else depends on this one."""
        try:
            act()
        except (DatabaseError, OSError) as error:
            logger.warning("worker %s can't say that it is there: %s", self._name, error)
        finally:
            connection.close()


def host_of(worker: str) -> str:
    """The machine of a worker: of `celery@host` as it registers, or `host:pid` as it takes work."""
    return worker.rpartition("@")[2].partition(":")[0]


def built_on(release: Release) -> set[str]:
    """The machines that have built the files of a release."""
    return {host_of(build.worker) for build in release.builds.succeeded() if build.worker}


def left_to_others(check: Check, worker: str, *, at: datetime) -> bool:
    """Whether a machine leaves a check to another: it has built the release itself.

    Only where another machine that builds for this system is there, and only for so long. Two
    workers on one machine have one Nix store: that is no other builder.
    """
    if check.name != CheckName.REPRODUCED:
        return False
    sent_at = check.sent_at or at  # a worker may be quicker than who notes that it was sent
    if at - sent_at >= timedelta(seconds=settings.REBUILD_ELSEWHERE_SECONDS):
        return False
    builders = built_on(check.release)
    if host_of(worker) not in builders:
        return False
    there = _builders_for(System(check.release.system), at)
    return any(host_of(each.name) not in builders for each in there)


def is_served(check: Check, *, at: datetime) -> bool:
    """Whether a check that builds finds a worker that does so for its system; a boot always does.

    Such a worker may be gone since it has built the release, and others need not wait for it.
    """
    if check.name != CheckName.REPRODUCED:
        return True
    return bool(_builders_for(System(check.release.system), at))


def _builders_for(system: System, at: datetime) -> list[Worker]:
    return [each for each in Worker.objects.alive(at) if each.serves(system.queue)]


def _accelerator() -> str:
    host = f"{platform.machine()}-linux"
    return accelerator(System(host)).name if host in System.values else "tcg"
