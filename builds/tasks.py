"""Celery's doors: an id in, one call; and the only place that enqueues."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable

from amqp.exceptions import ChannelError
from celery import current_app, shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from builds import pipeline
from builds.models import Build, Check, Release
from builds.pipeline import Step, advance

logger = logging.getLogger(__name__)


def enqueue(steps: Iterable[Step]) -> None:
    """Hand steps to the workers once the transaction is through.

    A broker that can't be reached loses nothing: `reconcile` finds what waits.
    """
    for step in steps:
        transaction.on_commit(lambda step=step: _send(step))  # type: ignore[misc]


def move_on(release: Release) -> None:
    """Enqueue what a release needs next."""
    enqueue(advance(release, at=timezone.now()))


@shared_task(name="plan")
def plan(release_id: int) -> None:
    """Pin a draft and queue its builds."""
    release = _fresh(release_id)
    with pipeline.holding(release, _worker()) as is_ours:
        if is_ours:
            pipeline.pin(release, pipeline.builder(), at=timezone.now())
    move_on(_fresh(release_id))


@shared_task(name="build")
def build(build_id: int) -> None:
    """Build one variant, and put its log away."""
    row = Build.objects.with_release().get(pk=build_id)
    pipeline.run(row, pipeline.builder(), worker=_worker())
    move_on(_fresh(row.release_id))
    pipeline.archive_log(row)


@shared_task(name="check")
def check(check_id: int) -> None:
    """Run one check."""
    row = Check.objects.select_related("release", "release__channel").get(pk=check_id)
    pipeline.run_check(row, worker=_worker())
    move_on(_fresh(row.release_id))


@shared_task(name="publish")
def publish(release_id: int) -> None:
    """Publish a draft whose checks have all passed."""
    release = _fresh(release_id)
    with pipeline.holding(release, _worker()) as is_ours:
        if is_ours:
            pipeline.publish(release, at=timezone.now())


@shared_task(name="schedule")
def schedule() -> None:
    """Trigger the channels whose weekly slot has come."""
    for release in pipeline.trigger_due(timezone.now()):
        move_on(release)


@shared_task(name="reconcile")
def reconcile() -> None:
    """Find what was lost and move it on."""
    steps = pipeline.reconcile(at=timezone.now())
    enqueue(step for step in steps if not _is_waiting(step, steps))
    pipeline.archive_logs(at=timezone.now())


def _send(step: Step) -> None:
    try:
        current_app.send_task(step.task, args=[step.row], queue=step.queue, countdown=step.delay)
    except OperationalError as error:
        logger.warning("%s %s waits for the broker: %s", step.task, step.row, error)
    else:
        pipeline.note_sent(step, at=timezone.now())


def _is_waiting(step: Step, steps: list[Step]) -> bool:
    """Whether the step's queue holds a message for every step that waits for that queue."""
    wanted = sum(other.queue == step.queue for other in steps)
    try:
        with current_app.connection_for_read() as connection:
            queue = connection.SimpleQueue(step.queue)
            return queue.qsize() >= wanted
    except (OperationalError, ChannelError):  # no broker; or no such queue: an empty one is none
        return False


def _fresh(release_id: int) -> Release:
    return Release.objects.select_related("channel").get(pk=release_id)


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
