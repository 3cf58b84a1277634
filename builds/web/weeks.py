"""The strip of weeks: what each of the last weeks brought, in colours and in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from builds.models import Release

WEEKS = 12
WEEK = timedelta(days=7)
NOTHING = "nothing"
# The best one names the week.
OUTCOMES: dict[str, StrOrPromise] = {
    "published": _("published"),
    "failed": _("failed"),
    "withdrawn": _("withdrawn"),
    "unchanged": _("nothing new"),
    NOTHING: _("no release"),
}


@dataclass(frozen=True, slots=True)
class Week:
    """What one week brought: published, failed, withdrawn, unchanged or nothing."""

    outcome: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The last weeks, the oldest first, and all of them in one sentence."""

    weeks: tuple[Week, ...]
    words: str

    @property
    def is_blank(self) -> bool:
        """Whether none of the weeks brought anything."""
        return all(week.outcome == NOTHING for week in self.weeks)


def strip_of(releases: Iterable[Release], *, at: datetime, weeks: int = WEEKS) -> Strip:
    """The strip that these releases leave."""
    found = weeks_of(releases, at=at, weeks=weeks)
    outcomes = [week.outcome for week in found]
    told = [
        f"{outcomes.count(outcome)} {word}"
        for outcome, word in OUTCOMES.items()
        if outcome in outcomes and outcome != NOTHING
    ]
    last = ngettext("the last {count} week", "the last {count} weeks", weeks).format(count=weeks)
    words = f"{last}: {', '.join(told) or OUTCOMES[NOTHING]}"
    return Strip(weeks=tuple(found), words=words)


def weeks_of(releases: Iterable[Release], *, at: datetime, weeks: int = WEEKS) -> list[Week]:
    """What each of the last weeks brought, the oldest first."""
    outcomes: list[set[str]] = [set() for _ in range(weeks)]
    for release in releases:
        when = release.published_at or release.finished_at
        number = int((at - when) / WEEK) if when else weeks
        if 0 <= number < weeks:
            outcomes[number].add(_outcome(release))
    return [
        Week(outcome=_best(outcomes[number]), title=_title(number, outcomes[number]))
        for number in reversed(range(weeks))
    ]


def _outcome(release: Release) -> str:
    if release.was_skipped:
        return "unchanged"
    if release.is_expired:
        return "published"  # the week had its release
    return release.status if release.status in OUTCOMES else NOTHING


def _best(outcomes: set[str]) -> str:
    return next((outcome for outcome in OUTCOMES if outcome in outcomes), NOTHING)


def _title(number: int, outcomes: set[str]) -> str:
    when = {0: gettext("this week"), 1: gettext("last week")}.get(
        number, ngettext("{count} week ago", "{count} weeks ago", number).format(count=number)
    )
    told = [str(word) for outcome, word in OUTCOMES.items() if outcome in outcomes - {NOTHING}]
    return f"{when}: {', '.join(told) or OUTCOMES[NOTHING]}"
