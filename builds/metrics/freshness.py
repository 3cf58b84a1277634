"""How fresh each channel is on each system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Subquery
from prometheus_client.metrics_core import Metric

from builds.metrics.families import gauge
from builds.models import Channel, Head, Release, Target


@dataclass(frozen=True, slots=True)
class Fresh:
    """One channel on one system; `published_at` is that of its latest release."""

    channel: Channel
    system: str
    published_at: datetime | None
    has_good_news: bool

    def is_stale(self, at: datetime) -> bool:
        """Whether the last good news is too old, as those are told who are to be told."""
        is_young = at - self.channel.created_at <= _patience()
        return not (self.has_good_news or is_young)

    def is_built(self, at: datetime) -> bool:
        """Whether something new is to be expected."""
        return self.channel.is_active and not self.channel.has_ended(at.date())


def freshness(at: datetime) -> Iterator[Metric]:
    """Ages, slots and what is stale, in one query."""
    found = list(_read(at))
    labels = ("channel", "system")
    yield gauge(
        "portal_head_age_seconds",
        "Seconds since the latest release was published.",
        labels,
        [(_of(f), (at - f.published_at).total_seconds()) for f in found if f.published_at],
    )
    yield gauge(
        "portal_published",
        "1 where there is a latest release.",
        labels,
        [(_of(f), f.published_at is not None) for f in found],
    )
    built = [f for f in found if f.is_built(at)]
    yield gauge(
        "portal_stale",
        "1 where no good news has come for STALE_AFTER_DAYS; of channels that are built.",
        labels,
        [(_of(f), f.is_stale(at)) for f in built],
    )
    slots = {f.channel.name: f.channel.next_slot(at) for f in built}
    yield gauge(
        "portal_next_slot_seconds",
        "Seconds until the next weekly slot; of channels that are built.",
        ("channel",),
        [((name,), (slot - at).total_seconds()) for name, slot in slots.items()],
    )


def _read(at: datetime) -> Iterator[Fresh]:
    same = {"channel": OuterRef("channel"), "system": OuterRef("system")}
    published = Head.objects.filter(**same).values("release__published_at")[:1]
    news = Release.objects.good_news_since(at - _patience()).filter(**same)
    targets = Target.objects.select_related("channel").annotate(
        published_at=Subquery(published), has_good_news=Exists(news)
    )
    ordered: Iterable[Any] = targets.order_by(
        "channel__position", "channel__name", "system", "variant"
    )
    seen = set()
    for target in ordered:
        if (target.channel_id, target.system) in seen:
            continue
        seen.add((target.channel_id, target.system))
        yield Fresh(target.channel, target.system, target.published_at, target.has_good_news)


def _of(fresh: Fresh) -> tuple[str, str]:
    return fresh.channel.name, fresh.system


def _patience() -> timedelta:
    return timedelta(days=settings.STALE_AFTER_DAYS)
