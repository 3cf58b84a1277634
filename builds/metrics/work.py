"""What waits, who is there to do it, and what has been given up on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django_celery_beat.models import PeriodicTask
from prometheus_client.metrics_core import Metric

from builds.choices import Means, System
from builds.metrics.families import gauge, plain
from builds.models import Build, Check, Damage, Delivery, Release, Worker
from builds.models.load import Load
from builds.pipeline.queues import CHECK, DEFAULT, QUEUES

NOTHING = Load()


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue, and those who serve it."""

    name: str
    load: Load
    workers: list[Worker]


def queues(at: datetime) -> Iterator[Metric]:
    """Length, wait and workers of each queue, as the rows have it: they outlive the broker."""
    loads = {
        DEFAULT: Release.objects.load(),
        CHECK: Check.objects.load(at),
        **{System(system).queue: load for system, load in Build.objects.loads(at).items()},
    }
    alive = list(Worker.objects.alive(at))
    known = [
        Queue(name, loads.get(name, NOTHING), [w for w in alive if w.serves(name)])
        for name in QUEUES
    ]
    for name, text, number in (
        ("waiting", "What waits in a queue for a worker.", lambda q: q.load.waiting),
        ("running", "What workers have of a queue.", lambda q: q.load.running),
        (
            "oldest_wait_seconds",
            "Seconds that the first in a queue has waited; 0 where nothing does.",
            lambda q: _since(q.load.oldest_at, at),
        ),
        ("workers", "Workers of a queue that have been heard of.", lambda q: len(q.workers)),
        (
            "capacity",
            "How much the workers of a queue do at the same time.",
            lambda q: sum(worker.capacity for worker in q.workers),
        ),
    ):
        yield gauge(
            f"portal_queue_{name}", text, ("queue",), [((q.name,), number(q)) for q in known]
        )
    yield gauge(
        "portal_leases_expired",
        "Rows whose worker was not heard of for a whole lease; reconcile gives them up.",
        ("queue",),
        [((q.name,), q.load.abandoned) for q in known],
    )
    yield from _disks(alive)


def _disks(alive: list[Worker]) -> Iterator[Metric]:
    places = {"store": "store_free", "data": "data_free"}
    yield gauge(
        "portal_worker_disk_free_bytes",
        "What a worker finds free for the Nix store and for the data folder.",
        ("worker", "place"),
        [
            ((worker.name, place), getattr(worker, field))
            for worker in alive
            for place, field in places.items()
            if getattr(worker, field) is not None
        ],
    )


def notices(at: datetime) -> Iterator[Metric]:
    """Whom the portal has not told yet, and whom it gave up telling; what is damaged."""
    found = Delivery.objects.by_means()
    for name, text, number in (
        (
            "waiting",
            "Notices that have not reached their subscriber.",
            lambda each: each.get("waiting", 0),
        ),
        (
            "given_up",
            "Notices that no attempt follows any more.",
            lambda each: each.get("given_up", 0),
        ),
        (
            "oldest_wait_seconds",
            "Seconds that the first of them has waited; 0 where none does.",
            lambda each: _since(each.get("oldest_at"), at),
        ),
    ):
        numbers = [((means.value,), number(found.get(means, {}))) for means in Means]
        yield gauge(f"portal_notices_{name}", text, ("means",), numbers)
    damaged = Damage.objects.unmended().count()
    yield plain("portal_damaged_files", "Files whose bytes are known to be wrong.", damaged)


def schedule(at: datetime) -> Iterator[Metric]:
    """Whether the schedule ticks; nothing where it never has."""
    last = PeriodicTask.objects.filter(enabled=True).aggregate(last=Max("last_run_at"))["last"]
    if last is not None:
        text = "Seconds since the schedule has ticked."
        yield plain("portal_schedule_tick_age_seconds", text, _since(last, at))


def _since(then: datetime | None, at: datetime) -> float:
    return max((at - then).total_seconds(), 0) if then else 0
