"""The history of a channel: its releases on each system, the newest first."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Page, Paginator

from builds.choices import System
from builds.models import Channel, Head, Release
from builds.web import states
from builds.web.states import State

FEW = 10
MANY = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One release in a history."""

    release: Release
    state: State
    checks: str
    size: int
    is_latest: bool


@dataclass(frozen=True, slots=True)
class History:
    """Releases of one channel on one system; `more` counts those that are not shown."""

    system: System
    entries: tuple[Entry, ...]
    page: Page[Release]
    is_alone: bool
    more: int


def channel_history(channel: Channel, system: str, page: str | None) -> list[History]:
    """The newest releases on every system; of one system, where it is named, a page of all."""
    systems = channel.systems()
    alone = [each for each in systems if each == system]
    return [
        _history(channel, each, page if alone else None, is_alone=bool(alone))
        for each in (alone or systems)
    ]


def _history(channel: Channel, system: System, number: str | None, *, is_alone: bool) -> History:
    releases = Release.objects.of(channel, system).with_files()
    page = Paginator(releases, MANY if is_alone else FEW).get_page(number)
    head = Head.objects.of(channel.name, system)
    entries = tuple(
        _entry(release, is_latest=head is not None and release.pk == head.release_id)
        for release in page
    )
    more = 0 if is_alone else page.paginator.count - len(entries)
    return History(system=system, entries=entries, page=page, is_alone=is_alone, more=more)


def _entry(release: Release, *, is_latest: bool) -> Entry:
    return Entry(
        release=release,
        state=states.release_state(release),
        checks=states.checks_in_words(release.checks.all()) if release.checks.all() else "",
        size=release.total_size(),
        is_latest=is_latest,
    )
