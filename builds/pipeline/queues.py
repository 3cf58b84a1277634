"""Who serves which queue, what waits there, in which order, and until when."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from builds.choices import BuildStatus, System
from builds.models import Build, Release, Worker

DEFAULT, CHECK = "default", "check"
QUEUES = (DEFAULT, CHECK, *(system.queue for system in System))
REMEMBERED = 9

_Kind = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a waiting build stands: `position` counts from 1 among those of its queue.

    `starts_at` and `takes` are estimates from earlier builds, None where there are none, or where
    nobody serves the queue; `unserved_since` is None where somebody does.
    """

    position: int
    starts_at: datetime | None
    takes: timedelta | None
    unserved_since: datetime | None


class Line:
    """The queues of builds as they stand at one time; each kind of row is read once, if at all.

    Where all drafts with their channels and builds are at hand, `drafts` saves reading builds.
    """

    def __init__(self, at: datetime, drafts: Iterable[Release] | None = None) -> None:
        self._at = at
        if drafts is not None:
            builds = [build for draft in drafts for build in draft.builds.all()]
            queued = [build for build in builds if build.status == BuildStatus.QUEUED]
            self.waiting = sorted((b for b in queued if b.is_due(at)), key=_turn)
            self.running = [build for build in builds if build.status == BuildStatus.RUNNING]

    @cached_property
    def known(self) -> list[Worker]:
        """All workers that were there once and are not forgotten."""
        return list(Worker.objects.all())

    @cached_property
    def workers(self) -> list[Worker]:
        """The workers that are there."""
        return [worker for worker in self.known if worker.is_there(self._at)]

    @cached_property
    def waiting(self) -> list[Build]:
        """The builds that wait for a worker, in their turn."""
        return list(Build.objects.due(self._at).in_turn().with_release())

    @cached_property
    def running(self) -> list[Build]:
        """The builds that a worker has."""
        return list(Build.objects.running().with_release())

    def serving(self, queue: str) -> list[Worker]:
        """The workers of a queue."""
        return [worker for worker in self.workers if worker.serves(queue)]

    def unserved_since(self, queue: str, waiting_since: datetime | None = None) -> datetime | None:
        """Since when nobody serves a queue; None where somebody does.

        Where nobody ever has, that is when the oldest build began to wait, or `waiting_since`.
        """
        if self.serving(queue):
            return None
        gone = [worker.left_at or worker.seen_at for worker in self.known if worker.serves(queue)]
        return max(gone) if gone else waiting_since or self._oldest_in(queue)

    def place(self, build: Build) -> Place | None:
        """Where a build stands; None where it does not wait for a worker."""
        queue = System(build.release.system).queue
        same = [each.pk for each in self.waiting if each.release.system == build.release.system]
        if build.pk not in same:
            return None
        return Place(
            position=same.index(build.pk) + 1,
            starts_at=self._starts.get(build.pk),
            takes=self.usual(build),
            unserved_since=self.unserved_since(queue),
        )

    def usual(self, build: Build) -> timedelta | None:
        """How long such a build usually takes: the median of its last successes."""
        release = build.release
        return self._usual.get((release.channel_id, release.system, build.variant))

    def ends_at(self, build: Build) -> datetime | None:
        """When a build that runs or waits should end; None where nothing tells."""
        if build.status == BuildStatus.RUNNING:
            return self._end(build)
        start = self._starts.get(build.pk) if build.is_due(self._at) else build.retry_at
        takes = self.usual(build)
        return start + takes if start is not None and takes is not None else None

    def _oldest_in(self, queue: str) -> datetime:
        waited = [
            each.queued_at for each in self.waiting if System(each.release.system).queue == queue
        ]
        return min(waited, default=self._at)

    @cached_property
    def _usual(self) -> dict[_Kind, timedelta]:
        took: dict[_Kind, list[timedelta]] = defaultdict(list)
        for channel, system, variant, started_at, finished_at in Build.objects.last_successes():
            took[channel, system, variant].append(finished_at - started_at)
        return {kind: _middle(lengths[:REMEMBERED]) for kind, lengths in took.items()}

    @cached_property
    def _starts(self) -> dict[int, datetime]:
        """When each waiting build should start, system by system."""
        starts: dict[int, datetime] = {}
        for system in System:
            starts |= self._starts_of(system)
        return starts

    def _starts_of(self, system: System) -> dict[int, datetime]:
        """Let every build in line take the slot that is free first; stops where nobody knows."""
        workers = self.serving(system.queue)
        served = {queue for worker in workers for queue in worker.queues}
        slots = self._slots(sum(worker.capacity for worker in workers), served)
        starts: dict[int, datetime] = {}
        for build in self.waiting:
            if System(build.release.system).queue not in served or not slots:
                continue
            start = heapq.heappop(slots)
            if build.release.system == system:
                starts[build.pk] = start
            takes = self.usual(build)
            if takes is not None:  # a slot whose end nobody knows is free for nobody
                heapq.heappush(slots, start + takes)
        return starts

    def _slots(self, capacity: int, served: set[str]) -> list[datetime]:
        """When each place of the workers is free, as a heap."""
        busy = [build for build in self.running if System(build.release.system).queue in served][
            :capacity
        ]
        ends = [end for build in busy if (end := self._end(build)) is not None]
        slots = [self._at] * (capacity - len(busy)) + ends
        heapq.heapify(slots)
        return slots

    def _end(self, build: Build) -> datetime | None:
        takes = self.usual(build)
        if takes is None or build.started_at is None:
            return None
        return max(self._at, build.started_at + takes)


def _turn(build: Build) -> tuple[int, datetime, int]:
    return build.release.urgency, build.queued_at, build.pk


def _middle(lengths: list[timedelta]) -> timedelta:
    return sorted(lengths)[len(lengths) // 2]
