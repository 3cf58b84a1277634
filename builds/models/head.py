"""The head: which release of a channel on a system is the latest."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import OuterRef, Q

from builds.choices import System
from builds.models.channel import Channel

if TYPE_CHECKING:
    from builds.models.release import Release

HAS_DAMAGE = "has_damage"


class HeadQuerySet(models.QuerySet["Head"]):
    """Heads by what one wants of them."""

    def of(self, channel: str, system: str) -> Head | None:
        """The head of one channel on one system, with its release and channel."""
        return (
            self.select_related("release", "release__channel", "release__transfer")
            .filter(channel__name=channel, system=system)
            .first()
        )

    def with_files(self) -> HeadQuerySet:
        """With what a page or record of the release shows, in a fixed number of queries."""
        return self.select_related("release__channel").prefetch_related(
            "release__artifacts__build", "release__checks"
        )

    def with_damage(self) -> HeadQuerySet:
        """With release and channel, and in HAS_DAMAGE whether a file of it is not whole."""
        unmended = Q(release__damages__mended_at=None, release__damages__isnull=False)
        return self.select_related("release__channel").annotate(
            **{HAS_DAMAGE: models.Exists(self.model.objects.filter(unmended, pk=OuterRef("pk")))}
        )

    def move(self, release: Release, *, at: datetime) -> Head:
        """Let the head of the release's channel and system name this release."""
        head, _ = self.update_or_create(
            channel=release.channel,
            system=release.system,
            defaults={"release": release, "moved_at": at},
        )
        return head

    def leave(self, release: Release, *, at: datetime) -> None:
        """Move the head off a release, to the newest published one that is left, or remove it."""
        # Locked, so that the one before can't expire between being found and becoming the head.
        head = self.select_for_update().filter(release=release).first()
        if head is None:
            return
        before = type(release).objects.of(release.channel, release.system).published().first()
        if before is None:
            head.delete()
        else:
            self.move(before, at=at)


class Head(models.Model):
    """Which release of a channel on a system is the latest."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="heads")
    system = models.CharField(max_length=20, choices=System)
    release = models.ForeignKey("builds.Release", on_delete=models.PROTECT, related_name="heads")
    moved_at = models.DateTimeField()

    objects = HeadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_head_per_channel_and_system", fields=["channel", "system"]
            ),
            models.CheckConstraint(
                name="head_system_is_known",
                condition=Q(system__in=sorted(System.values)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.system} → {self.release.version}"
