"""What a build waits for, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from django.utils.translation import gettext

from builds.choices import BuildStatus, Verdict
from builds.models import Build, Release
from builds.pipeline import Line, queues
from builds.web import states
from builds.web.states import Making
from builds.web.words import ahead, lasting, ordinal, span

SOON = timedelta(minutes=1)


def what_it_waits_for(build: Build, line: Line, *, at: datetime) -> str:
    """Why a queued build has not started, and when it should: one or two sentences."""
    if build.retry_at is not None and build.retry_at > at:
        again = gettext("It will be tried again {then}.")
        return again.format(then=ahead(build.retry_at, at=at))
    place = line.place(build)
    if place is None:
        return ""
    if place.unserved_since is not None:
        why = nobody(build.release.system, place.unserved_since, at=at)
        return gettext("It waits: {why}.").format(why=why)
    words = _start(place.starts_at, at).format(place=_place_in_words(place.position))
    if place.takes is None:
        return words
    return f"{words} {gettext('It usually takes {length}.').format(length=span(place.takes))}"


def nobody(what: str, since: datetime, *, at: datetime) -> str:
    """That no worker serves a queue: no worker for aarch64-linux for 2 hours."""
    gone = at - since
    if gone < SOON:
        return gettext("no worker for {what} right now").format(what=what)
    words = gettext("no worker for {what} for {length}")
    return words.format(what=what, length=lasting(gone))


def making(release: Release, line: Line, *, at: datetime) -> Making:
    """How far a draft is (prefetch builds and checks), and what it waits for where it waits."""
    found = states.making(release)
    if release.is_postponed(at) and release.retry_at is not None:
        then = ahead(release.retry_at, at=at)
        return replace(found, word=gettext("will be planned again {then}").format(then=then))
    if not found.waits:
        return found
    later = _retry_at(release, at)
    if later is not None:
        then = ahead(later, at=at)
        return replace(found, word=gettext("will be tried again {then}").format(then=then))
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
    words = {queues.DEFAULT: gettext("planning and publishing"), queues.CHECK: gettext("checks")}
    return words.get(queue, release.system)


def _place_in_words(position: int) -> str:
    if position == 1:
        return gettext("next in line")
    return gettext("{place} in line").format(place=ordinal(position))


def _start(then: datetime | None, at: datetime) -> str:
    if then is None:
        return gettext(
            "It is {place}; when it starts can't be told, because nothing like it was built before."
        )
    if then - at < SOON:
        return gettext("It is {place}, and should start at once.")
    return gettext("It is {place}, and should start {then}.").replace("{then}", ahead(then, at=at))
