"""What the dashboard shows: every channel on every system, from a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse

from builds.choices import ReleaseStatus, System
from builds.models import Channel, Damage, Head, Release
from builds.pipeline import Line, Regression, first_reds
from builds.web import states, waiting
from builds.web.failure import red_since
from builds.web.states import Making, State
from builds.web.words import age, counted, sentence, slot, span

WEEKS = 12
NOTHING = "nothing"
WEEK = timedelta(days=7)
FRESH_FOR = timedelta(days=8)  # a week, and a day for the build and a retry

_Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Week:
    """What one week brought: published, failed, withdrawn, unchanged or nothing."""

    outcome: str
    title: str


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What happened after the head was published, in words."""

    state: State
    words: str
    url: str


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
    weeks: tuple[Week, ...]
    weeks_in_words: str
    making: Making | None
    aftermath: Aftermath | None
    absence: str
    """What the first release waits for; "" where there is one or it is in the making."""

    @property
    def name(self) -> str:
        """What the cell is called: a version, or that there is none yet."""
        if self.release is not None and self.release.version is not None:
            return self.release.version
        return "no release yet" if self.making else self.state.word

    @property
    def has_history(self) -> bool:
        """Whether any of the last weeks brought something."""
        return any(week.outcome != NOTHING for week in self.weeks)

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

    def row(self, channel: str) -> Row | None:
        """The row of a channel by its name."""
        return next((row for row in self.rows if row.channel.name == channel), None)

    @property
    def is_moving(self) -> bool:
        """Whether something is in the making: the page looks again soon."""
        return any(cell.making for row in self.rows for cell in row.built())


def gather(*, at: datetime) -> Matrix:
    """The whole matrix as it stands at `at`."""
    channels = list(Channel.objects.prefetch_related("targets"))
    targets = {
        channel.pk: {target.system for target in channel.targets.all()} for channel in channels
    }
    present = set().union(*targets.values()) if targets else set()
    systems = tuple(system for system in System if system in present)
    found = _Found(at)
    rows = (
        Row(
            channel=channel,
            cells=tuple(
                found.cell(channel, system) if system in targets[channel.pk] else None
                for system in systems
            ),
            next_at=next_build(channel, at=at),
            has_ended=channel.has_ended(at.date()),
        )
        for channel in channels
    )
    return Matrix(systems=systems, rows=tuple(rows))


def next_build(channel: Channel, *, at: datetime) -> datetime | None:
    """When a channel's next slot is; None where it is built by hand only."""
    return channel.next_slot(at) if channel.is_active else None


def waits_for(channel: Channel, *, at: datetime) -> str:
    """What a channel's next release waits for, as the end of a sentence."""
    then = next_build(channel, at=at)
    if then is None:
        return "waits for an admin's click"
    return f"waits for its slot on {slot(then)} or an admin's click"


class _Found:
    """The rows that the cells are made of, each kind read at once."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._line = Line(at)
        self._red = first_reds()
        self._heads = {
            (head.channel_id, head.system): head.release for head in Head.objects.with_files()
        }
        drafts = Release.objects.drafts().with_progress()
        self._drafts = {(draft.channel_id, draft.system): draft for draft in drafts}
        last = Release.objects.last_ended()
        self._last = {(release.channel_id, release.system): release for release in last}
        self._damaged = set(Damage.objects.unmended().values_list("release", flat=True))
        self._recent: dict[_Key, list[Release]] = defaultdict(list)
        for release in Release.objects.ended_since(at - WEEKS * WEEK):
            self._recent[release.channel_id, release.system].append(release)

    def cell(self, channel: Channel, system: System) -> Cell:
        key = (channel.pk, system.value)
        head, draft = self._heads.get(key), self._drafts.get(key)
        making = waiting.making(draft, self._line, at=self._at) if draft else None
        after = aftermath(head, self._last.get(key), at=self._at, red=self._red.get(key))
        weeks = tuple(weeks_of(self._recent[key], at=self._at))
        return Cell(
            channel=channel,
            system=system,
            release=head,
            state=self._state(channel, head, making, after),
            url=_url(channel, system, head, making, after),
            size=head.total_size() if head else 0,
            checks=states.checks_in_words(head.checks.all()) if head else "",
            weeks=weeks,
            weeks_in_words=_weeks_in_words(weeks),
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
                return states.stale(f"{span(old)} old")
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


def aftermath(
    head: Release | None, last: Release | None, *, at: datetime, red: Regression | None = None
) -> Aftermath | None:
    """What came of the release that ended last, where that is not the head."""
    if last is None or last.finished_at is None or (head and last.pk == head.pk):
        return None
    if head and head.published_at and last.finished_at < head.published_at:
        return None
    words = _what_happened(last, head, at)
    if red is not None and last.status == ReleaseStatus.FAILED:
        words = f"{words}; {red_since(red, at=at)}"
    state = states.release_state(last)
    return Aftermath(state=state, words=words, url=last.get_absolute_url())


def _what_happened(last: Release, head: Release | None, at: datetime) -> str:
    assert last.finished_at is not None, "it has ended"
    if last.was_skipped:
        taken_back = head is None or last.revision != head.revision
        news = sentence(last.reason) if taken_back else "nothing new"
        return f"checked {age(last.finished_at, at=at)}: {news}"
    reason = sentence(last.reason)
    return {
        ReleaseStatus.FAILED: f"last build failed: {reason}",
        ReleaseStatus.CANCELLED: f"last build cancelled: {reason}",
        ReleaseStatus.WITHDRAWN: f"{last.version} withdrawn: {reason}",
    }.get(ReleaseStatus(last.status), f"{last.version} was published, then taken off the head")


def weeks_of(releases: Iterable[Release], *, at: datetime) -> list[Week]:
    """What each of the last 12 weeks brought, the oldest first."""
    outcomes: list[set[str]] = [set() for _ in range(WEEKS)]
    for release in releases:
        when = release.published_at or release.finished_at
        number = int((at - when) / WEEK) if when else WEEKS
        if 0 <= number < WEEKS:
            outcomes[number].add(_outcome(release))
    return [
        Week(outcome=_best(outcomes[number]), title=_week_title(number, outcomes[number]))
        for number in reversed(range(WEEKS))
    ]


_ORDER = ("published", "failed", "withdrawn", "unchanged")


def _outcome(release: Release) -> str:
    if release.was_skipped:
        return "unchanged"
    if release.is_expired:
        return "published"  # the week had its release
    return release.status if release.status in _ORDER else NOTHING


def _best(outcomes: set[str]) -> str:
    return next((outcome for outcome in _ORDER if outcome in outcomes), NOTHING)


def _week_title(number: int, outcomes: set[str]) -> str:
    when = {0: "this week", 1: "last week"}.get(number, f"{number} weeks ago")
    return f"{when}: {', '.join(sorted(outcomes - {NOTHING})) or 'no release'}"


def _weeks_in_words(weeks: Iterable[Week]) -> str:
    outcomes = [week.outcome for week in weeks]
    words = [f"{outcomes.count(outcome)} {outcome}" for outcome in _ORDER if outcome in outcomes]
    return f"the last {counted(WEEKS, 'week')}: {', '.join(words) or 'no release'}"


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
