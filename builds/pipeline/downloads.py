"""Counts of downloads: from Redis to the table, each once."""

from __future__ import annotations

import logging
from datetime import datetime

from django.conf import settings

from builds import tally
from builds.models import CountedBatch
from builds.points import point

logger = logging.getLogger(__name__)


def take_counts(*, at: datetime) -> int:
    """Store the batches that have come together; how many were new.

    A batch is renamed, then stored together with its name, then dropped. A crash in between leaves
    it where the next call finds it, and its name tells whether it is stored.
    """
    stored = 0
    try:
        for name, counts in tally.taken(settings.REDIS_URL):
            point("counts: taken")
            stored += CountedBatch.objects.store(name, counts, at=at)
            point("counts: stored")
            tally.drop(settings.REDIS_URL, name)
    except tally.AWAY as error:
        logger.warning("download counts wait, Redis is away: %s", error)
    return stored
