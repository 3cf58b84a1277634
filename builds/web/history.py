"""The history of a channel: its releases on each system, the newest first."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.core.paginator import Page, Paginator

from builds.choices import System
from builds.models import Channel, Head, Release
from builds.web import states
from builds.web.states import State
from builds.web.weeks import WEEK, Strip, strip_of

FEW = 10
MANY = 30
WEEKS = 26


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
    """Releases of one channel on one system; `more` counts those that are not shown.

    `page` is None where several systems are shown, with the newest of each.
    """

    system: System
    strip: Strip
    entries: tuple[Entry, ...]
    page: Page[Release] | None
    more: int


def channel_history(channel: Channel, system: str, page: str | None, at: datetime) -> list[History]:
    """The newest releases on every system; of one system, where it is named, a page of all."""
    found = _Found(channel, at)
    systems = channel.systems()
    for each in systems:
        if each == system:
            return [found.pages(each, page)]
    return found.newest(systems)


class _Found:
    """The rows that histories are made of, each kind read at once."""

    def __init__(self, channel: Channel, at: datetime) -> None:
        self._all = Release.objects.filter(channel=channel)
        self._at = at
        self._heads = set(Head.objects.filter(channel=channel).values_list("release_id", flat=True))
        self._recent: dict[str, list[Release]] = defaultdict(list)
        for release in self._all.ended_since(at - WEEKS * WEEK):
            self._recent[release.system].append(release)

    def newest(self, systems: list[System]) -> list[History]:
        counts = self._all.counts_by_system()
        shown: dict[str, list[Release]] = defaultdict(list)
        for release in self._all.newest_of_each_system(FEW).with_contents():
            shown[release.system].append(release)
        return [
            self._history(system, shown[system], None, counts.get(system, 0) - len(shown[system]))
            for system in systems
        ]

    def pages(self, system: System, number: str | None) -> History:
        releases = self._all.filter(system=system).with_contents()
        page = Paginator(releases, MANY).get_page(number)
        return self._history(system, list(page), page, 0)

    def _history(
        self, system: System, releases: list[Release], page: Page[Release] | None, more: int
    ) -> History:
        return History(
            system=system,
            strip=strip_of(self._recent[system], at=self._at, weeks=WEEKS),
            entries=tuple(self._entry(release) for release in releases),
            page=page,
            more=more,
        )

    def _entry(self, release: Release) -> Entry:
        return Entry(
            release=release,
            state=states.release_state(release),
            checks=states.checks_in_words(release) if release.checks.all() else "",
            size=release.total_size(),
            is_latest=release.pk in self._heads,
        )
