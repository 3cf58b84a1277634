"""What the page of numbers shows: sizes, times and downloads of a channel over the weeks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from builds.choices import System, Variant
from builds.models import Artifact, Build, Channel, Check, DownloadCount, Release, monday
from builds.web.chart import Chart, Point, Series, draw
from builds.web.choice import Tab
from builds.web.words import clock, size

WEEKS = (12, 52, 104)
USUAL_WEEKS = 52
MOST_RELEASES = 260  # 5 a week for a year; more than a drawing of this width can tell apart


@dataclass(frozen=True, slots=True)
class Asked:
    """What the URL asks for, with what nobody knows replaced by the usual; "" is every variant."""

    channel: Channel
    system: str
    variant: str
    weeks: int


@dataclass(frozen=True, slots=True)
class Group:
    """One row of tabs."""

    label: str
    tabs: tuple[Tab, ...]


@dataclass(frozen=True, slots=True)
class StatsPage:
    """All of it."""

    asked: Asked
    groups: tuple[Group, ...]
    charts: tuple[Chart, ...]
    downloads: int
    sent: int
    since: date


def stats_page(wish: dict[str, str], *, at: datetime) -> StatsPage | None:
    """The numbers of one channel and system; None where there is no channel."""
    channels = list(Channel.objects.all())
    asked = _asked(channels, wish)
    if asked is None:
        return None
    since = monday((at - timedelta(weeks=asked.weeks - 1)).date())
    releases = Release.objects.shown_since(
        asked.channel, asked.system, datetime.combine(since, time(), UTC), MOST_RELEASES
    )
    weekly = DownloadCount.objects.of(asked.channel.pk, asked.system).whole().since(since)
    if asked.variant:
        weekly = weekly.filter(artifact__variant=asked.variant)
    weeks = list(weekly.weekly())
    return StatsPage(
        asked=asked,
        groups=_groups(channels, asked),
        charts=(
            _sizes(asked, releases),
            _build_times(asked, releases),
            _boot_times(releases),
            _downloads(weeks, since, at),
        ),
        downloads=sum(week["downloads"] for week in weeks),
        sent=sum(week["sent"] for week in weeks),
        since=since,
    )


def _asked(channels: list[Channel], wish: dict[str, str]) -> Asked | None:
    usual = min(channels, key=lambda each: (not each.is_default, each.position), default=None)
    channel = next((each for each in channels if each.name == wish["channel"]), usual)
    if channel is None:
        return None
    weeks = next((each for each in WEEKS if str(each) == wish["weeks"]), USUAL_WEEKS)
    return Asked(
        channel=channel,
        system=wish["system"] if wish["system"] in System.values else System.X86_64.value,
        variant=wish["variant"] if wish["variant"] in Variant.values else "",
        weeks=weeks,
    )


def _groups(channels: list[Channel], asked: Asked) -> tuple[Group, ...]:
    now = {
        "channel": asked.channel.name,
        "system": asked.system,
        "variant": asked.variant,
        "weeks": str(asked.weeks),
    }

    def group(label: str, part: str, choices: Iterable[tuple[str, str]]) -> Group:
        tabs = (
            Tab(words, f"?{urlencode(now | {part: value})}", current=now[part] == value)
            for value, words in choices
        )
        return Group(label, tuple(tabs))

    variants = ((each.value, str(each.label)) for each in Variant)
    return (
        group(_("Channel"), "channel", ((each.name, each.name) for each in channels)),
        group(_("Architecture"), "system", ((str(each), each.architecture) for each in System)),
        group(_("Variant"), "variant", (("", _("all")), *variants)),
        group(_("Weeks"), "weeks", ((str(each), str(each)) for each in WEEKS)),
    )


class _Lines:
    """Points of several series, sorted in by name."""

    def __init__(self) -> None:
        self._points: dict[str, list[Point]] = defaultdict(list)

    def add(self, name: str, release: Release, value: float) -> None:
        """One number of a release."""
        at = release.published_at or release.created_at
        self._points[name].append(Point(at, value, f"{release.version} · {at:%-d %b %Y}"))

    def series(self) -> list[Series]:
        """All of them, by name."""
        return [
            Series(name, tuple(sorted(points, key=lambda point: point.at)))
            for name, points in sorted(self._points.items())
        ]


def _sizes(asked: Asked, releases: dict[int, Release]) -> Chart:
    lines = _Lines()
    for row in Artifact.objects.sizes(releases, asked.variant):
        lines.add(row.name, releases[row.release_id], row.size)
    return draw("size", _("Size"), _("Release"), lines.series(), size, base=1024)


def _build_times(asked: Asked, releases: dict[int, Release]) -> Chart:
    lines = _Lines()
    for row in Build.objects.timed(releases, asked.variant):
        if row.duration is not None:
            name = row.get_variant_display()
            lines.add(name, releases[row.release_id], row.duration.total_seconds())
    return draw("build", _("Build time"), _("Release"), lines.series(), clock, base=60)


def _boot_times(releases: dict[int, Release]) -> Chart:
    lines = _Lines()
    for row in Check.objects.timed(releases):
        lines.add(row.name, releases[row.release_id], row.seconds or 0)
    return draw("boot", _("Boot time"), _("Release"), lines.series(), lambda n: f"{n:.1f} s")


def _downloads(weeks: list[dict[str, object]], since: date, at: datetime) -> Chart:
    """Every week has a point from the first that was counted on: none is a number, too."""
    found: dict[str, dict[date, int]] = defaultdict(dict)
    for week in weeks:
        found[str(week["artifact__variant"])][week["week"]] = int(str(week["downloads"]))  # type: ignore[index]
    first = min((day for each in found.values() for day in each), default=since)
    mondays = [first + timedelta(weeks=n) for n in range((at.date() - first).days // 7 + 1)]
    series = [
        Series(
            str(Variant(variant).label),
            tuple(
                Point(datetime.combine(day, time(), UTC), counts.get(day, 0), f"{day:%-d %b %Y}")
                for day in mondays
            ),
        )
        for variant, counts in sorted(found.items())
    ]
    return draw("downloads", _("Downloads a week"), _("Week from"), series, _count)


def _count(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"
