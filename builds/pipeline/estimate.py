"""When a draft should be published: its builds as they stand in line, then its checks."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import attrgetter

from builds.choices import BuildStatus, Verdict
from builds.models import Check, Release
from builds.pipeline.queues import CHECK, Line


def publication(release: Release, line: Line, *, at: datetime) -> datetime | None:
    """About when a draft is published (prefetch builds and checks).

    None where that can't be told: it is not planned yet, nothing like it was made before, or
    nobody serves a queue that it needs. What goes before it in the queue of checks is left out.
    """
    built_at = _built_at(release, line, at)
    checking = _checking(release, line, at)
    return None if built_at is None or checking is None else built_at + checking


def _built_at(release: Release, line: Line, at: datetime) -> datetime | None:
    newest = {
        build.variant: build for build in sorted(release.builds.all(), key=attrgetter("attempt"))
    }
    ends = [
        line.ends_at(build) for build in newest.values() if build.status != BuildStatus.SUCCEEDED
    ]
    known = [end for end in ends if end is not None]
    if not newest or len(known) < len(ends):
        return None
    return max([at, *known])


def _checking(release: Release, line: Line, at: datetime) -> timedelta | None:
    """How long the checks that are left take, one after the other at each worker."""
    left = [check for check in release.checks.all() if not check.lets_through]
    if not left:
        return timedelta()
    places = sum(worker.capacity for worker in line.serving(CHECK))
    usual = Check.objects.usual_durations(release)
    if not places or any(check.name not in usual for check in left):
        return None
    lengths = [usual[check.name] - _so_far(check, at) for check in left]
    work = sum((max(length, timedelta()) for length in lengths), timedelta())
    return max(work / min(places, len(left)), *lengths, timedelta())


def _so_far(check: Check, at: datetime) -> timedelta:
    if check.verdict != Verdict.RUNNING or check.started_at is None:
        return timedelta()
    return at - check.started_at
