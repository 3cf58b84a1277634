"""What a build waits for, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from builds.choices import BuildStatus, Verdict
from builds.models import Build, Release
from builds.pipeline import Line, queues
from builds.web import states
from builds.web.states import Making
from builds.web.words import ahead, ordinal, span

SOON = timedelta(minutes=1)


def what_it_waits_for(build: Build, line: Line, *, at: datetime) -> str:
    """Why a queued build has not started, and when it should: one or two sentences."""
    if build.retry_at is not None and build.retry_at > at:
        return f"It will be tried again {ahead(build.retry_at, at=at)}."
    place = line.place(build)
    if place is None:
        return ""
    if place.unserved_since is not None:
        return f"It waits: {nobody(build.release.system, place.unserved_since, at=at)}."
    takes = f" It usually takes {span(place.takes)}." if place.takes else ""
    return f"It is {_place_in_words(place.position)}{_start(place.starts_at, at)}.{takes}"


def nobody(what: str, since: datetime, *, at: datetime) -> str:
    """That no worker serves a queue: no worker for aarch64-linux for 2 hours."""
    gone = at - since
    return f"no worker for {what}" + (f" for {span(gone)}" if gone >= SOON else " right now")


def making(release: Release, line: Line, *, at: datetime) -> Making:
    """How far a draft is (prefetch builds and checks), and what it waits for where it waits."""
    found = states.making(release)
    if release.is_postponed(at) and release.retry_at is not None:
        return replace(found, word=f"will be planned again {ahead(release.retry_at, at=at)}")
    if not found.waits:
        return found
    later = _retry_at(release, at)
    if later is not None:
        return replace(found, word=f"will be tried again {ahead(later, at=at)}")
    since = line.unserved_since(found.queue, release.pinned_at or release.created_at)
    if since is None:
        return found
    what = _queue_in_words(release, found.queue)
    return replace(found, word=nobody(what, since, at=at), unserved=True)


def _retry_at(release: Release, at: datetime) -> datetime | None:
    """When the next build or check is due, where all wait for nothing but their time."""
    builds = [build for build in release.builds.all() if build.status == BuildStatus.QUEUED]
    checks = [check for check in release.checks.all() if check.verdict == Verdict.PENDING]
    waiting = [row.retry_at for row in builds or checks]
    later = [then for then in waiting if then and then > at]
    return min(later) if waiting and len(later) == len(waiting) else None


def _queue_in_words(release: Release, queue: str) -> str:
    words = {queues.DEFAULT: "planning and publishing", queues.CHECK: "checks"}
    return words.get(queue, release.system)


def _place_in_words(position: int) -> str:
    return "next in line" if position == 1 else f"{ordinal(position)} in line"


def _start(then: datetime | None, at: datetime) -> str:
    if then is None:
        return "; when it starts can't be told, because nothing like it was built before"
    return (
        ", and should start at once"
        if then - at < SOON
        else f", and should start {ahead(then, at=at)}"
    )
