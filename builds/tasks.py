"""Celery's doors: an id in, one call; and the only place that enqueues."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import Any

from celery import current_app, shared_task
from celery.signals import task_postrun, task_prerun, worker_ready, worker_shutdown
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError
from structlog.contextvars import bind_contextvars, clear_contextvars

from builds import broker, log_ids, pipeline, request_id
from builds.models import Build, Check, Release
from builds.pipeline import Presence, Step, advance
from builds.pipeline.scrub import MIB
from builds.points import point
from builds.request_id import current_request_id

logger = logging.getLogger(__name__)

REQUEST = "portal_request"  # the header of a message
SCRUB_SECONDS = 300.0
PIECES_SECONDS = 300.0
SCRUB_AGAIN_AFTER = timedelta(days=7)
PLANS_AT_ONCE = 2
LEFT_FOR = 5.0  # seconds, until a machine looks again at a check that it leaves to others
_planning = threading.BoundedSemaphore(PLANS_AT_ONCE)


def enqueue(steps: Iterable[Step]) -> None:
    """Hand steps to the workers once the transaction is through.

    A broker that can't be reached loses nothing: `reconcile` finds what waits.
    """
    for step in steps:
        transaction.on_commit(lambda step=step: _send(step))  # type: ignore[misc]


def move_on(release: Release) -> None:
    """Enqueue what a release needs next."""
    enqueue(advance(release, at=timezone.now()))
    if not release.is_draft:
        tell()


def tell() -> None:
    """Have what has happened told soon; without a broker the next tick does."""
    enqueue([Step("notify", 0)])


@shared_task(name="plan")
def plan(release_id: int) -> None:
    """Pin drafts and queue their builds, those first whose turn it is, until none waits.

    Nix may evaluate for minutes. Few do so at once in one process, so that threads are left for
    everything else; who finds them busy leaves its draft to them.
    """
    if not _planning.acquire(blocking=False):
        return
    try:
        while (release := _plan_next()) is not None:
            move_on(release)
    finally:
        _planning.release()
    move_on(_fresh(release_id))  # where it was planned already


def _plan_next() -> Release | None:
    """Plan the draft whose turn it is; None where nothing waits for that."""
    for release in Release.objects.to_plan(timezone.now()):
        with about(release), pipeline.holding(release, _worker()) as is_ours:
            if is_ours:
                pipeline.pin(release, pipeline.builder_for(release), at=timezone.now())
        if is_ours:
            return _fresh(release.pk)
    return None


@shared_task(name="build")
def build(build_id: int) -> None:
    """Build one variant of those that wait for this system: the one whose turn it is.

    The message only says that there is something to do; it came in at the end of the queue, while
    its build may have been overtaken by one that is more urgent.
    """
    system = Build.objects.with_release().get(pk=build_id).release.system
    for row in Build.objects.due(timezone.now()).for_system(system).in_turn().with_release():
        with about(row.release, row.request, build=row.pk):
            if pipeline.run(row, pipeline.builder_for(row.release), worker=_worker()):
                move_on(_fresh(row.release_id))
                pipeline.archive_log(row)
                return


@shared_task(name="check")
def check(check_id: int) -> None:
    """Run one check: of those like this one that were handed out, the one whose turn it is."""
    handed_out = Q(sent_at__isnull=False) | Q(pk=check_id)
    now = timezone.now()
    waiting = Check.objects.due(now).wanted().filter(handed_out).like(check_id)
    left = []
    for row in waiting.in_turn().select_related("release__channel"):
        if pipeline.left_to_others(row, _worker(), at=now):
            left.append(row)
            continue
        with about(row.release, check=row.name):
            if pipeline.run_check(row, worker=_worker()):
                move_on(_fresh(row.release_id))
                return
    # The message goes round until another worker has it, or this one need not wait any more.
    enqueue(pipeline.check_step(row, row.release, delay=LEFT_FOR) for row in left[:1])


@shared_task(name="publish")
def publish(release_id: int) -> None:
    """Publish a draft whose checks have all passed."""
    release = _fresh(release_id)
    with about(release), pipeline.holding(release, _worker()) as is_ours:
        if is_ours:
            pipeline.publish(release, at=timezone.now())
    release = _fresh(release_id)
    if not release.is_draft:  # what must wait for the storage or the signer waits for `reconcile`
        move_on(release)
    enqueue([Step("pieces", 0)])


@shared_task(name="pieces")
def pieces(_row: int = 0) -> None:
    """Hash in pieces what was published since; the next tick goes on with what is left."""
    pipeline.hash_pieces(
        at=timezone.now(), rate=settings.SCRUB_MIB_PER_SECOND * MIB, seconds=PIECES_SECONDS
    )


@shared_task(name="schedule")
def schedule() -> None:
    """Trigger the channels whose weekly slot has come."""
    for release in pipeline.trigger_due(timezone.now()):
        move_on(release)


@shared_task(name="notify")
def notify(_row: int = 0) -> None:
    """Tell subscribers what is due, and find what is stale."""
    now = timezone.now()
    pipeline.find_stale(at=now)
    pipeline.notify(worker=_worker(), at=now)
    seconds = pipeline.seconds_to_next(at=now)
    if seconds is not None:
        enqueue([Step("notify", 0, delay=seconds)])


@shared_task(name="reconcile")
def reconcile() -> None:
    """Find what was lost and move it on."""
    steps = pipeline.reconcile(at=timezone.now())
    there = {queue: broker.waiting(queue) for queue in {step.queue for step in steps}}
    enqueue(step for step in steps if (step.task, step.row) not in there[step.queue])
    pipeline.archive_logs(at=timezone.now())


@worker_ready.connect
def on_worker_ready(**_: object) -> None:
    """Look at once for what was lost while no worker was there."""
    with suppress(OperationalError):
        current_app.send_task("reconcile")


@shared_task(name="collect")
def collect() -> None:
    """Remove what retention lets go."""
    for _ in pipeline.collect(at=timezone.now()):
        pass


@shared_task(name="count-ended")
def count_ended() -> None:
    """Add what has ended to the totals that `/metrics` tells."""
    pipeline.count_ended(at=timezone.now())


@shared_task(name="count-downloads")
def count_downloads() -> None:
    """Move the counts of downloads from Redis to their table."""
    pipeline.take_counts(at=timezone.now())


@shared_task(name="check-mirrors")
def check_mirrors() -> None:
    """Look at the mirrors whose time has come."""
    pipeline.check_mirrors(worker=_worker(), at=timezone.now())


@shared_task(name="follow")
def follow() -> None:
    """Take in what the followed portals have published, and withdraw what they have."""
    pipeline.follow_all(worker=_worker(), at=timezone.now())
    tell()


@shared_task(name="scrub")
def scrub() -> None:
    """Hash some of the stored files again."""
    rate = settings.SCRUB_MIB_PER_SECOND * MIB
    pipeline.scrub_some(
        at=timezone.now(), rate=rate, seconds=SCRUB_SECONDS, again_after=SCRUB_AGAIN_AFTER
    )


def _send(step: Step) -> None:
    point("enqueue: before sending")
    try:
        current_app.send_task(
            step.task,
            args=[step.row],
            queue=step.queue,
            countdown=step.delay,
            headers={REQUEST: current_request_id()},
        )
    except OperationalError as error:
        logger.warning("%s %s waits for the broker: %s", step.task, step.row, error)
    else:
        point("enqueue: sent")
        pipeline.note_sent(step, at=timezone.now())
        point("enqueue: noted")


def _fresh(release_id: int) -> Release:
    return Release.objects.select_related("channel").get(pk=release_id)


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


# Log lines name the request that led to a task, and the rows that it is about.


@task_prerun.connect
def _name_what_follows(task: Any, task_id: str, **_: object) -> None:
    """Take over the id of the request that has sent this task."""
    came_with = task.request.get("headers") or {}
    bind_contextvars(task=task.name, worker=task.request.hostname)
    request_id.name(came_with.get(REQUEST) or "")


@task_postrun.connect
def _name_nothing(**_: object) -> None:
    """Let what follows be about nothing yet: the next task comes into the same process."""
    clear_contextvars()
    request_id.name("")


def about(release: Release, request: str = "", **ids: object) -> AbstractContextManager[None]:
    """Log lines within are about a release, and about the request that led to it."""
    return log_ids.about(request=request or release.request, release=str(release), **ids)


# A worker says in the database what it serves; nothing asks Celery for it.


@worker_ready.connect
def _arrive(sender: Any, **_: Any) -> None:
    """Register this worker; `sender` is Celery's consumer."""
    presence = Presence(
        sender.hostname,
        lambda: list(sender.app.amqp.queues.consume_from),
        sender.controller.concurrency,
        pipeline.builder(),
    )
    presence.start()
    worker_shutdown.connect(lambda **_: presence.leave(), weak=False)
