"""Finding what was lost on the way and moving it on; runs every minute and at start."""

from __future__ import annotations

import logging
from datetime import datetime

from builds.models import Build, Channel, Check, Release
from builds.pipeline.advance import Step, advance
from builds.pipeline.publish import is_told, write_moving

logger = logging.getLogger(__name__)


def reconcile(*, at: datetime) -> list[Step]:
    """End what nobody works on any more; the steps that every draft waits for."""
    for build in Build.objects.abandoned():
        if build.lose():
            logger.warning("%s is lost", build)
    for check in Check.objects.abandoned():
        if check.wait_again():
            logger.warning("%s waits again", check)
    finish_moving()
    drafts = Release.objects.drafts().select_related("channel")
    return [step for release in drafts for step in advance(release, at=at, again=True)]


def finish_moving() -> None:
    """Write what moves for channels whose publish broke off right after the head had moved."""
    for channel in Channel.objects.with_history():
        if not is_told(channel.name):
            logger.warning("finishing the publish of %s", channel)
            write_moving(channel.name)
