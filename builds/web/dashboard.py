"""What the dashboard shows: every channel on every system, from a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import prefetch_related_objects
from django.urls import reverse
from django.utils.translation import gettext
from django_stubs_ext import StrOrPromise

from builds.choices import System
from builds.models import Channel, Head, Release
from builds.models.head import HAS_DAMAGE
from builds.pipeline import Line, first_reds, reds
from builds.web import states, waiting
from builds.web.aftermath import Aftermath, aftermath
from builds.web.states import Making, State
from builds.web.weeks import WEEK, WEEKS, Strip, strip_of
from builds.web.words import slot, span

FRESH_FOR = timedelta(days=8)  # a week, and a day for the build and a retry

_Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One channel on one system."""

    channel: Channel
    system: System
    release: Release | None
    state: State
    url: str
    size: int
    checks: str
    strip: Strip
    making: Making | None
    aftermath: Aftermath | None
    absence: str
    """What the first release waits for; "" where there is one or it is in the making."""

    @property
    def name(self) -> StrOrPromise:
        """What the cell is called: a version, or that there is none yet."""
        if self.release is not None and self.release.version is not None:
            return self.release.version
        return gettext("no release yet") if self.making else self.state.word

    @property
    def bar(self) -> str:
        """The tone of the bar at the left edge; "" where all is well."""
        if self.aftermath and self.aftermath.state.tone == states.Tone.BAD:
            return self.aftermath.state.tone
        loud = {states.Tone.WARN, states.Tone.BAD}
        return self.state.tone if self.state.tone in loud else ""


@dataclass(frozen=True, slots=True)
class Row:
    """One channel; `cells` has None for a system that it is not built for."""

    channel: Channel
    cells: tuple[Cell | None, ...]
    next_at: datetime | None
    has_ended: bool

    def built(self) -> list[Cell]:
        """The cells of the systems that it is built for."""
        return [cell for cell in self.cells if cell is not None]

    def cell(self, system: str) -> Cell | None:
        """The cell of a system by its name."""
        return next((cell for cell in self.built() if cell.system == system), None)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Channels as rows, systems as columns."""

    systems: tuple[System, ...]
    rows: tuple[Row, ...]
    drafts: tuple[Release, ...]
    line: Line

    def row(self, channel: str) -> Row | None:
        """The row of a channel by its name."""
        return next((row for row in self.rows if row.channel.name == channel), None)

    @property
    def is_moving(self) -> bool:
        """Whether something is in the making: the page looks again soon."""
        return any(cell.making for row in self.rows for cell in row.built())


def gather(*, at: datetime, briefly: bool = False) -> Matrix:
    """The whole matrix as it stands at `at`; briefly: without sizes, checks, and what broke."""
    built_for = Channel.objects.with_systems()
    present: set[str] = set().union(*built_for.values())
    systems = tuple(system for system in System if system in present)
    found = _Found(at, briefly=briefly)
    rows = (
        Row(
            channel=channel,
            cells=tuple(
                found.cell(channel, system) if system in wanted else None for system in systems
            ),
            next_at=next_build(channel, at=at),
            has_ended=channel.has_ended(at.date()),
        )
        for channel, wanted in built_for.items()
    )
    return Matrix(systems=systems, rows=tuple(rows), drafts=found.drafts, line=found.line)


def next_build(channel: Channel, *, at: datetime) -> datetime | None:
    """When a channel's next slot is; None where it is built by hand only."""
    return channel.next_slot(at) if channel.is_active else None


def waits_for(channel: Channel, *, at: datetime) -> str:
    """What a channel's next release waits for, as the end of a sentence."""
    then = next_build(channel, at=at)
    if then is None:
        return gettext("waits for an admin's click")
    return gettext("waits for its slot on {slot} or an admin's click").format(slot=slot(then))


class _Found:
    """The rows that the cells are made of, each kind read at once."""

    def __init__(self, at: datetime, *, briefly: bool) -> None:
        self._at = at
        self._briefly = briefly
        heads = list(Head.objects.with_damage())
        drafts = tuple(Release.objects.drafts().select_related("channel"))
        bad = [] if briefly else list(reds())
        prefetch_related_objects([*drafts, *bad, *self._shown(heads)], "builds", "checks")
        prefetch_related_objects(self._shown(heads), "artifacts")
        self.drafts = drafts
        self.line = Line(at, drafts)
        self._red = first_reds(bad)
        self._heads = {(head.channel_id, head.system): head.release for head in heads}
        self._drafts = {(draft.channel_id, draft.system): draft for draft in drafts}
        self._damaged = {head.release_id for head in heads if getattr(head, HAS_DAMAGE)}
        self._last: dict[_Key, Release] = {}
        self._recent: dict[_Key, list[Release]] = defaultdict(list)
        for release in Release.objects.last_ended(or_since=at - WEEKS * WEEK):
            key = release.channel_id, release.system
            self._last.setdefault(key, release)
            self._recent[key].append(release)

    def _shown(self, heads: Iterable[Head]) -> list[Release]:
        """The heads' releases whose contents are shown."""
        return [] if self._briefly else [head.release for head in heads]

    def cell(self, channel: Channel, system: System) -> Cell:
        key = (channel.pk, system.value)
        head, draft = self._heads.get(key), self._drafts.get(key)
        making = waiting.making(draft, self.line, at=self._at) if draft else None
        after = aftermath(head, self._last.get(key), at=self._at, red=self._red.get(key))
        shown = None if self._briefly else head
        return Cell(
            channel=channel,
            system=system,
            release=head,
            state=self._state(channel, head, making, after),
            url=_url(channel, system, head, making, after),
            size=shown.total_size() if shown else 0,
            checks=states.checks_in_words(shown) if shown else "",
            strip=strip_of(self._recent[key], at=self._at),
            making=making,
            aftermath=after,
            absence="" if head else self._absence(channel, making, after),
        )

    def _state(
        self,
        channel: Channel,
        head: Release | None,
        making: Making | None,
        after: Aftermath | None,
    ) -> State:
        if head is not None and head.pk in self._damaged:
            return states.DAMAGED
        if head is not None and head.published_at is not None:
            old = self._at - head.published_at
            is_late = old > FRESH_FOR and not self._was_looked_at(head)
            if is_late and channel.is_active and not channel.has_ended(self._at.date()):
                return states.stale(gettext("{length} old").format(length=span(old)))
            return states.PUBLISHED
        if making is not None:
            return making.state
        return after.state if after is not None else states.NOT_YET

    def _was_looked_at(self, head: Release) -> bool:
        """Whether the source was found unchanged lately: then an old release is the latest."""
        last = self._last.get((head.channel_id, head.system))
        return (
            last is not None
            and last.was_skipped
            and last.revision == head.revision
            and last.finished_at is not None
            and self._at - last.finished_at <= FRESH_FOR
        )

    def _absence(self, channel: Channel, making: Making | None, after: Aftermath | None) -> str:
        if making is not None:
            return ""
        waits = waits_for(channel, at=self._at)
        return f"{after.words}; {waits}" if after else waits


def _url(
    channel: Channel,
    system: System,
    head: Release | None,
    making: Making | None,
    after: Aftermath | None,
) -> str:
    if head is not None:
        return latest_url(channel.name, system)
    if making is not None:
        return making.url
    return after.url if after is not None else channel.get_absolute_url()


def latest_url(channel: str, system: str) -> str:
    """The page of whatever is the latest of a channel on a system."""
    return reverse("latest-detail", args=[channel, system])
