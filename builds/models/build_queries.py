"""Builds by what one wants of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models
from django.db.models import Count, Exists, Min, OuterRef, Q
from django.db.models.functions import Now

from builds.choices import BuildStatus, Variant
from builds.models.load import Load

if TYPE_CHECKING:
    from builds.models.build import Build

REMEMBERED_SUCCESSES = 500
TYPICAL_OF = 9  # builds


class BuildQuerySet(models.QuerySet["Build"]):
    """Builds by what one wants of them."""

    def active(self) -> BuildQuerySet:
        """Those that wait or run."""
        return self.filter(status__in=BuildStatus.active())

    def queued(self) -> BuildQuerySet:
        """Those that wait for a worker."""
        return self.filter(status=BuildStatus.QUEUED)

    def due(self, at: datetime) -> BuildQuerySet:
        """Those that wait for nothing but a worker."""
        return self.queued().filter(Q(retry_at=None) | Q(retry_at__lte=at))

    def for_system(self, system: str) -> BuildQuerySet:
        """Those of releases for one system."""
        return self.filter(release__system=system)

    def in_turn(self) -> BuildQuerySet:
        """The most urgent first, and of those the one that has waited longest."""
        return self.order_by("release__urgency", "queued_at", "pk")

    def running(self) -> BuildQuerySet:
        """Those that a worker has."""
        return self.filter(status=BuildStatus.RUNNING)

    def ended(self) -> BuildQuerySet:
        """Those that came to an end, good or bad, the last one first."""
        return self.filter(status__in=BuildStatus.final()).order_by("-finished_at", "-pk")

    def ended_between(self, since: datetime, until: datetime) -> BuildQuerySet:
        """Those that came to an end after the one time and not after the other."""
        ended = self.filter(finished_at__gt=since, finished_at__lte=until)
        # Not by what they are: SQLite would then go by the status, and read them all.
        return ended.exclude(status__in=BuildStatus.active()).order_by()

    def succeeded(self) -> BuildQuerySet:
        """Those that gave what they should."""
        return self.filter(status=BuildStatus.SUCCEEDED)

    def last_successes(self) -> models.QuerySet[Build, tuple[Any, ...]]:
        """Channel, system, variant, start and end of the last successes, the newest first."""
        timed = self.succeeded().filter(started_at__isnull=False, finished_at__isnull=False)
        return timed.order_by("-finished_at").values_list(
            "release__channel_id", "release__system", "variant", "started_at", "finished_at"
        )[:REMEMBERED_SUCCESSES]

    def timed(self, releases: Collection[int], variant: str) -> BuildQuerySet:
        """Those of these releases that succeeded, of one variant or of all, with their times."""
        found = self.succeeded().filter(release__in=releases)
        found = found.filter(variant=variant) if variant else found
        return found.order_by().only("variant", "started_at", "finished_at", "release")

    def abandoned(self) -> BuildQuerySet:
        """Those whose worker has not been heard of for a whole lease."""
        return self.running().filter(lease_until__lt=Now())

    def loads(self, at: datetime) -> dict[str, Load]:
        """What waits and runs, by system."""
        running = Q(status=BuildStatus.RUNNING)
        due = Q(status=BuildStatus.QUEUED) & (Q(retry_at=None) | Q(retry_at__lte=at))
        found = self.active().order_by().values("release__system")
        rows = found.annotate(
            waiting=Count("pk", filter=due),
            oldest_at=Min("queued_at", filter=due),
            running=Count("pk", filter=running),
            abandoned=Count("pk", filter=running & Q(lease_until__lt=Now())),
        )
        return {row.pop("release__system"): Load(**row) for row in rows}

    def newest_per_variant(self) -> list[Build]:
        """The last attempt at each variant, for the builds of one release."""
        newest = {build.variant: build for build in self.order_by("attempt")}
        return [newest[variant] for variant in Variant.values if variant in newest]

    def like(self, build: Build) -> BuildQuerySet:
        """Those of the same channel, system and variant."""
        release = build.release
        return self.filter(
            release__channel=release.channel_id,
            release__system=release.system,
            variant=build.variant,
        )

    def usual_duration(self) -> timedelta | None:
        """The median of how long the last ones that succeeded took; None where none did."""
        last = self.succeeded().filter(started_at__isnull=False, finished_at__isnull=False)
        seconds = [
            build.duration.total_seconds()
            for build in last.order_by("-finished_at")[:TYPICAL_OF]
            if build.duration is not None
        ]
        return timedelta(seconds=median(seconds)) if seconds else None

    def with_release(self) -> BuildQuerySet:
        """With what their pages name, in one query."""
        return self.select_related("release", "release__channel")

    def wanted(
        self,
        *,
        channel: str | None = None,
        system: str | None = None,
        status: str | None = None,
        version: str | None = None,
        variant: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> BuildQuerySet:
        """Those that fit all that is given; `since` and `until` are about when they were queued."""
        fits = {
            "status": status,
            "release__version": version,
            "variant": variant,
            "queued_at__gte": since,
            "queued_at__lt": until,
        }
        found = self.filter(**{name: value for name, value in fits.items() if value is not None})
        return found.among(channel=channel, system=system)

    def among(self, *, channel: str | None = None, system: str | None = None) -> BuildQuerySet:
        """Those of releases of a channel, on a system; for lists of which only the newest are read.

        Asked of each build in turn: from the channel's releases a database would come to all of
        their builds, and sort them, before it knows the newest.
        """
        fits = {"channel__name": channel, "system": system}
        known = {name: value for name, value in fits.items() if value is not None}
        if not known:
            return self
        releases = apps.get_model("builds", "Release").objects.order_by()
        return self.filter(Exists(releases.filter(pk=OuterRef("release"), **known)))
