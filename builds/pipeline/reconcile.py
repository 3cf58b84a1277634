"""Finding what was lost on the way and moving it on; runs every minute and at start."""

from __future__ import annotations

import logging
from datetime import datetime

from builds.models import Build, Channel, Check, Release
from builds.pipeline.advance import Step, advance
from builds.pipeline.publish import is_told, write_moving
from builds.pipeline.workers import is_served
from builds.points import point

logger = logging.getLogger(__name__)


def reconcile(*, at: datetime) -> list[Step]:
    """End what nobody works on any more; the steps that every draft waits for.

    A channel whose files can't be written holds back no other.
    """
    for build in Build.objects.abandoned():
        if build.lose():
            logger.warning("%s is lost", build)
    point("reconcile: builds lost")
    for check in Check.objects.abandoned():
        if check.wait_again():
            logger.warning("%s waits again", check)
    drafts = Release.objects.drafts().select_related("channel")
    steps = [step for release in drafts for step in advance(release, at=at, again=True)]
    steps += _next_later_check(at)
    point("reconcile: drafts moved on")
    finish_moving()
    return steps


def _next_later_check(at: datetime) -> list[Step]:
    """The one check that may be made while no draft waits."""
    waiting = Check.objects.later().waiting().wanted().in_turn().select_related("release")
    check = next((each for each in waiting if is_served(each, at=at)), None)
    return advance(check.release, at=at, again=True) if check else []


def finish_moving() -> None:
    """Write what moves for channels whose publish or withdrawal broke off half-way."""
    for channel in Channel.objects.with_history():
        try:
            if not is_told(channel.name):
                logger.warning("finishing the publish of %s", channel)
                write_moving(channel.name)
        except OSError as error:
            logger.warning("the moving files of %s are written later: %s", channel, error)
