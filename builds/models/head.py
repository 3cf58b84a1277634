"""The head: which release of a channel on a system is the latest."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models, transaction
from django.db.models import Count, Max, OuterRef, Q, Subquery, Sum

from builds.choices import System
from builds.models.channel import Channel
from builds.models.head_move import HeadMove
from builds.storage import ROOT, artifacts

if TYPE_CHECKING:
    from builds.models.release import Release

logger = logging.getLogger(__name__)

HAS_DAMAGE = "has_damage"
STATE = ("checks_made", "last_check_at", "files_measured", "least_memory_sum")


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

    def with_state(self) -> HeadQuerySet:
        """With numbers in STATE that change whenever the record of its release does.

        Once it is published only checks that are made later, and what they measure, add to it.
        """
        checks = _of_release("Check")
        files = _of_release("Artifact")
        numbers = (
            (checks, Count("finished_at")),
            (checks, Max("finished_at")),
            (files, Count("least_memory")),
            (files, Sum("least_memory")),
        )
        return self.annotate(
            **{
                name: Subquery(rows.annotate(n=number).values("n"))
                for name, (rows, number) in zip(STATE, numbers, strict=True)
            }
        )

    def to_offer(self) -> HeadQuerySet:
        """With release and channel, in the order of the channels, x86_64 first."""
        offered = self.select_related("channel", "release__channel")
        return offered.order_by("channel__position", "channel__name", "-system")

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
        HeadMove.objects.note(release.channel, release.system, release, at=at)
        _outdate(release.channel.name)
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
            HeadMove.objects.note(release.channel, release.system, None, at=at)
            _outdate(release.channel.name)
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


def _of_release(model: str) -> Any:
    """Rows of a head's release, to be counted together."""
    rows = apps.get_model("builds", model).objects.filter(release=OuterRef("release"))
    return rows.order_by().values("release")


def _outdate(channel: str) -> None:
    """Once the move stands, let nobody go on with what the files that move told before it."""

    def tell() -> None:
        try:
            artifacts().outdate(f"{ROOT}/{channel}")
        except OSError as error:
            logger.warning("the moving files of %s look new until rewritten: %s", channel, error)

    transaction.on_commit(tell)
