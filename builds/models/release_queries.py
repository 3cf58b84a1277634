"""Releases by what one wants of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, cast

from django.apps import apps
from django.db import models
from django.db.models import F, Max, OuterRef, Prefetch, Q, Subquery
from django.db.models.functions import Coalesce, Now

from builds.choices import ReleaseStatus, System
from builds.models.channel import Channel
from builds.models.head import Head
from builds.models.lease import is_free
from builds.models.load import Load
from builds.models.retained import leaving

if TYPE_CHECKING:
    from builds.models.mirror import Mirror
    from builds.models.release import Release

IS_LATEST = "is_latest"
TOTAL_SIZE = "artifacts_size"


class ReleaseQuerySet(models.QuerySet["Release"]):
    """Releases by what one wants of them."""

    def drafts(self) -> ReleaseQuerySet:
        """Those still in the making."""
        return self.filter(status=ReleaseStatus.DRAFT)

    def held_under(self, fence: int) -> ReleaseQuerySet:
        """The drafts that somebody holds right now who took them under this fence."""
        return self.drafts().filter(~is_free(), fence=fence)

    def signed_by_others(self, key: str) -> ReleaseQuerySet:
        """The published ones that another key than this has signed, the oldest first."""
        signed = self.filter(status=ReleaseStatus.PUBLISHED).exclude(signed_by__in=["", key])
        return signed.select_related("channel").order_by("pk")

    def published(self) -> ReleaseQuerySet:
        """Those whose files may be read, newest first."""
        return self.filter(status=ReleaseStatus.PUBLISHED).order_by("-published_at", "-pk")

    def failed(self) -> ReleaseQuerySet:
        """Those that a build or a check held back, oldest first."""
        return self.filter(status=ReleaseStatus.FAILED).order_by("created_at", "pk")

    def to_plan(self, at: datetime) -> ReleaseQuerySet:
        """Drafts that wait for nothing but somebody who pins their source, in their turn."""
        due = Q(retry_at=None) | Q(retry_at__lte=at)
        waiting = self.drafts().filter(is_free() & due, pinned_at=None)
        return waiting.order_by("urgency", "created_at", "pk").select_related("channel")

    def of(self, channel: Channel, system: str) -> ReleaseQuerySet:
        """Those of one channel on one system."""
        return self.filter(channel=channel, system=system)

    def ended(self) -> ReleaseQuerySet:
        """Those that came to an end, good or bad."""
        return self.exclude(status=ReleaseStatus.DRAFT)

    def tried(self) -> ReleaseQuerySet:
        """Those that were built until it was clear whether they are good."""
        return self.ended().exclude(status=ReleaseStatus.CANCELLED)

    def last_good_news(self, channel: Channel, system: str) -> datetime | None:
        """When one was last published, or the source last found unchanged; None: never."""
        of = self.of(channel, system)
        # A skipped revision is good news where it is the latest's, none where it was taken back.
        heads = channel.heads.filter(system=system).values("release__revision")
        skipped = of.filter(status=ReleaseStatus.CANCELLED, pinned_at=None, revision__in=heads)
        times = [
            of.published().aggregate(at=Max("published_at"))["at"],
            skipped.aggregate(at=Max("finished_at"))["at"],
        ]
        return max((at for at in times if at is not None), default=None)

    def good_news_since(self, since: datetime) -> ReleaseQuerySet:
        """Those that are good news as `last_good_news` has it, and later than this."""
        heads = apps.get_model("builds", "Head").objects.filter(
            channel=models.OuterRef("channel"),
            system=models.OuterRef("system"),
            release__revision=models.OuterRef("revision"),
        )
        skipped = Q(status=ReleaseStatus.CANCELLED, pinned_at=None) & models.Exists(heads)
        news = Q(status=ReleaseStatus.PUBLISHED) | skipped
        return self.filter(news, finished_at__gte=since)

    def load(self) -> Load:
        """Drafts that wait to be planned, and those that somebody plans or publishes."""
        held = Q(lease_until__isnull=False)
        lost = Q(lease_until__lt=Now())
        found = self.drafts().aggregate(
            waiting=models.Count("pk", filter=Q(pinned_at=None) & ~held),
            oldest_at=models.Min("created_at", filter=Q(pinned_at=None) & ~held),
            running=models.Count("pk", filter=held & ~lost),
            abandoned=models.Count("pk", filter=lost),
        )
        return Load(**found)

    def ended_between(self, since: datetime, until: datetime) -> ReleaseQuerySet:
        """Those that came to an end after the one time and not after the other."""
        return self.ended().filter(finished_at__gt=since, finished_at__lte=until).order_by()

    def ended_since(self, at: datetime) -> ReleaseQuerySet:
        """Those that came to an end, or were published, at this time or later."""
        since = [self.filter(finished_at__gte=at), self.filter(published_at__gte=at)]
        return self.ended().in_any(since)

    def last_ended(self, *, or_since: datetime | None = None) -> ReleaseQuerySet:
        """The one of each channel and system that is built that ended last, the last first.

        With `or_since` also those that came to an end, or were published, at this time or later.
        """
        # From the few pairs that are built to their newest row, each found in the index.
        ended = self.ended().filter(channel=OuterRef("channel"), system=OuterRef("system"))
        newest = ended.order_by("-finished_at", "-pk").values("pk")[:1]
        pairs = (
            apps.get_model("builds", "Target").objects.order_by().annotate(newest=Subquery(newest))
        )
        wanted = [self.filter(pk__in=pairs.values("newest"))]
        if or_since is not None:
            wanted += [
                self.filter(finished_at__gte=or_since),
                self.filter(published_at__gte=or_since),
            ]
        found = self.ended().in_any(wanted)
        return found.select_related("channel").order_by("-finished_at", "-pk")

    def with_progress(self) -> ReleaseQuerySet:
        """With channel, builds and checks, in a fixed number of queries."""
        return self.select_related("channel", "transfer").prefetch_related("builds", "checks")

    def with_files(self) -> ReleaseQuerySet:
        """With channel, artifacts, builds and checks, in a fixed number of queries."""
        files = apps.get_model("builds", "Artifact").objects.select_related("build")
        return self.with_progress().prefetch_related(Prefetch("artifacts", files))

    def with_contents(self) -> ReleaseQuerySet:
        """With channel, artifacts, builds and checks, for pages that name no artifact's build."""
        files = apps.get_model("builds", "Artifact").objects.with_downloads()
        return self.with_progress().prefetch_related(Prefetch("artifacts", files))

    def counts_by_system(self) -> dict[str, int]:
        """How many there are on each system."""
        counted = self.order_by().values("system").annotate(count=models.Count("pk"))
        return {row["system"]: row["count"] for row in counted}

    def newest_of_each_system(self, most: int) -> ReleaseQuerySet:
        """The newest ones of each system, of releases of one channel."""
        newest = self.order_by("-created_at", "-pk").values("pk")
        return self.in_any(
            [self.filter(pk__in=newest.filter(system=system)[:most]) for system in System]
        )

    def in_any(self, found: Iterable[ReleaseQuerySet]) -> ReleaseQuerySet:
        """Those that one of these finds, each by its own index: databases read all for an OR."""
        first, *others = (each.order_by().values("pk") for each in found)
        return self.filter(pk__in=first.union(*others))

    def named(self, channel: str, version: str) -> ReleaseQuerySet:
        """The one or two releases (one per system) that share this name and folder."""
        return self.filter(channel__name=channel, version=version)

    def around(self, at: datetime) -> ReleaseQuerySet:
        """The last that was published before this time and the first after it, with channel."""
        before = self.filter(published_at__lt=at).order_by("-published_at").values("pk")[:1]
        after = self.filter(published_at__gt=at).order_by("published_at").values("pk")[:1]
        either = Q(pk=Subquery(before)) | Q(pk=Subquery(after))
        return self.filter(either).select_related("channel").order_by("published_at")

    def up_to(self, last: Collection[Release]) -> ReleaseQuerySet:
        """The published ones that are, or came before, one of these of their channel and system."""
        before = [
            Q(channel=each.channel_id, system=each.system, sequence__lte=each.sequence)
            for each in last
        ]
        # The channels once more by themselves: an index is not found through an OR.
        channels = {each.channel_id for each in last}
        found = self.published().filter(channel__in=channels)
        return found.filter(reduce(or_, before)) if before else self.none()

    def versions(self) -> models.QuerySet[Release, tuple[str, str]]:
        """Channel's name and version of each folder that they lie in, the newest first."""
        folders = self.order_by().values_list("channel__name", "version")
        newest = folders.annotate(newest_at=Max("published_at"), newest_pk=Max("pk"))
        ordered = newest.order_by("-newest_at", "-newest_pk")
        named = ordered.values_list("channel__name", "version")
        return cast("models.QuerySet[Release, tuple[str, str]]", named)

    def in_versions(self, folders: Collection[tuple[str, str]]) -> ReleaseQuerySet:
        """Those in any of these folders, each named by its channel and version."""
        channels = {channel for channel, _ in folders}
        versions = {version for _, version in folders}
        return self.filter(channel__name__in=channels, version__in=versions)

    def made_here(self) -> ReleaseQuerySet:
        """Those that this portal built, or builds, and gave or may give their number."""
        numbered = Q(sequence__isnull=False) | Q(status=ReleaseStatus.DRAFT)
        return self.filter(numbered, transfer=None)

    def taken_from(self, source: str) -> ReleaseQuerySet:
        """The published ones that came here from this source, with their channel."""
        return self.published().filter(transfer__source=source).select_related("channel")

    def known_to_outside(self) -> ReleaseQuerySet:
        """Those that were published once: their names were given out."""
        return self.filter(status__in=ReleaseStatus.known_to_outside())

    def readable(self, channels: Collection[str]) -> ReleaseQuerySet:
        """Those that were published once, and all others of these channels; empty: of every one."""
        if not channels:
            return self.all()
        known = Q(status__in=ReleaseStatus.known_to_outside())
        return self.filter(known | Q(channel__name__in=channels))

    def holding_files(self) -> ReleaseQuerySet:
        """Those whose files the storage should have, or has until retention has removed them."""
        return self.filter(files_removed_at=None).exclude(status=ReleaseStatus.EXPIRED)

    def marked(self) -> ReleaseQuerySet:
        """The published ones that retention has found free to go."""
        return self.filter(status=ReleaseStatus.PUBLISHED, marked_at__isnull=False)

    def beside(self, release: Release) -> ReleaseQuerySet:
        """The others in the same folder of the storage: those of other systems."""
        same = self.filter(channel=release.channel, version=release.version)
        return same.exclude(pk=release.pk)

    def leaving(self, **before: datetime) -> ReleaseQuerySet:
        """Those whose files may be deleted from the storage; see builds.models.retained."""
        return self.filter(leaving(**before)).select_related("channel").order_by("pk")

    def shown_since(
        self, channel: Channel, system: str, at: datetime, most: int
    ) -> dict[int, Release]:
        """The newest that were published since, at most so many, by primary key."""
        found = self.of(channel, system).known_to_outside().filter(published_at__gte=at)
        return {release.pk: release for release in found.order_by("-published_at", "-pk")[:most]}

    def to_look_at(self, mirror: Mirror, older: int) -> list[Release]:
        """What is looked at on a mirror: the latest ones, those found wrong there, a few others.

        The others are those that were looked at longest ago, the newest first.
        """
        there = mirror.copies.all()
        published = self.published().with_files()
        wrong = there.filter(is_right=False).values("release")
        first = published.filter(Q(heads__isnull=False) | Q(pk__in=wrong)).distinct()
        seen = Subquery(there.filter(release=OuterRef("pk")).values("checked_at")[:1])
        others = published.filter(heads=None).exclude(pk__in=wrong).annotate(seen_at=seen)
        by_turn = others.order_by(F("seen_at").asc(nulls_first=True), "-published_at", "-pk")
        return [*first, *by_turn[:older]]

    def to_scrub(self, before: datetime | None) -> ReleaseQuerySet:
        """The published ones, those first that were hashed longest ago; none hashed since."""
        unread = Q() if before is None else Q(scrubbed_at=None) | Q(scrubbed_at__lte=before)
        found = self.published().filter(unread).select_related("channel")
        return found.order_by(F("scrubbed_at").asc(nulls_first=True), "pk")

    def for_lists(self) -> ReleaseQuerySet:
        """With channel, whether it IS_LATEST, and the TOTAL_SIZE of its artifacts in bytes."""
        heads = Head.objects.filter(release=models.OuterRef("pk"))
        files = apps.get_model("builds", "Artifact").objects.filter(release=models.OuterRef("pk"))
        sums = files.order_by().values("release").annotate(n=models.Sum("size")).values("n")
        numbers = {
            IS_LATEST: models.Exists(heads),
            TOTAL_SIZE: Coalesce(models.Subquery(sums), 0),
        }
        return self.select_related("channel").annotate(**numbers)

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
    ) -> ReleaseQuerySet:
        """Those that fit all that is given; `since` and `until` are about when they were begun."""
        fits = {
            "channel__name": channel,
            "system": system,
            "status": status,
            "version": version,
            "created_at__gte": since,
            "created_at__lt": until,
        }
        found = self.filter(**{name: value for name, value in fits.items() if value is not None})
        if variant is None:
            return found
        builds = apps.get_model("builds", "Build").objects.filter(release=models.OuterRef("pk"))
        return found.filter(models.Exists(builds.filter(variant=variant)))
