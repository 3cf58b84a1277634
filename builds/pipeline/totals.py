"""Counts what has come to an end: releases, builds and checks, each once."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from builds.models import Build, Check, Release, Totals

# An end is stamped with the time at which its transaction began; after so long it is through.
SETTLED_AFTER = timedelta(seconds=60)
AT_ONCE = timedelta(days=90)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
# Seconds, as upper ends of the histograms' buckets.
BUILD_BUCKETS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600)
CHECK_BUCKETS = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300)
BEYOND = "+Inf"
SUM = "sum"

Labels = tuple[str, ...]


def count_ended(*, at: datetime) -> datetime:
    """Add what has ended since the last time to the totals; up to when they are counted now.

    A check that is tried again ends again, and is counted again: each verdict was one.
    """
    until = at - SETTLED_AFTER
    while (reached := _count_some(until)) < until:
        pass
    return reached


def _count_some(until: datetime) -> datetime:
    """Count a piece, so that years of rows hold nobody else up; up to when all are counted."""
    with transaction.atomic():
        totals = Totals.objects.locked()
        since = totals.up_to or BEGINNING
        until = min(until, since + AT_ONCE)
        if since >= until:
            return since
        totals.count(_releases(Release.objects.ended_between(since, until)))
        totals.count(_builds(Build.objects.ended_between(since, until)))
        totals.count(_checks(Check.objects.ended_between(since, until)))
        totals.up_to = until
        totals.save()
    return until


def _releases(ended: QuerySet[Release]) -> dict[str, Counter[Labels]]:
    rows = ended.values_list("channel__name", "system", "status")
    return {"releases": Counter(rows.iterator())}


def _builds(ended: QuerySet[Build]) -> dict[str, Counter[Labels]]:
    counts: Counter[Labels] = Counter()
    retries: Counter[Labels] = Counter()
    seconds: Counter[Labels] = Counter()
    names = ("release__channel__name", "release__system", "variant", "status")
    rows: Any = ended.values_list(*names, "attempt", "started_at", "finished_at").iterator()
    for channel, system, variant, status, attempt, started, finished in rows:
        counts[channel, system, variant, status] += 1
        retries[channel, system, variant] += attempt > 1
        if started is not None:
            length = (finished - started).total_seconds()
            _observe(seconds, (system, variant, status), length, BUILD_BUCKETS)
    return {"builds": counts, "build_retries": retries, "build_seconds": seconds}


def _checks(ended: QuerySet[Check]) -> dict[str, Counter[Labels]]:
    counts: Counter[Labels] = Counter()
    retaken: Counter[Labels] = Counter()
    seconds: Counter[Labels] = Counter()
    names = ("release__channel__name", "release__system", "name", "verdict")
    rows: Any = ended.values_list(*names, "fence", "seconds").iterator()
    for channel, system, name, verdict, fence, length in rows:
        counts[channel, system, name, verdict] += 1
        retaken[channel, system, name] += max(fence - 1, 0)
        if length:
            _observe(seconds, (system, name, verdict), length, CHECK_BUCKETS)
    return {"checks": counts, "check_retries": retaken, "check_seconds": seconds}


def _observe(into: Counter[Labels], labels: Labels, seconds: float, ends: tuple[int, ...]) -> None:
    """Count a length in the bucket that it falls into, and in the sum."""
    place = bisect_left(ends, seconds)
    into[*labels, str(ends[place]) if place < len(ends) else BEYOND] += 1
    into[*labels, SUM] += seconds  # type: ignore[assignment]  # Counter's numbers are whole to mypy
