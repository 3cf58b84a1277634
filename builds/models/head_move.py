"""Every move of a head, kept: what was the latest at which time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from builds.choices import ReleaseStatus, System
from builds.models.channel import Channel

if TYPE_CHECKING:
    from builds.models.release import Release

# A release's primary key, when it was published, and when it was taken back.
Life = tuple[int, datetime, datetime | None]
CAME, CHOSEN, GONE = range(3)


def derived(
    lives: Iterable[Life], picks: Iterable[tuple[datetime, int]] = ()
) -> list[tuple[datetime, int | None]]:
    """When the head moved to which release, as follows from what is known of the releases.

    `picks` are the times at which an admin rolled back to a release, as the audit trail has them.
    """
    lives = list(lives)
    published = {pk: at for pk, at, _ in lives}
    came = [(at, CAME, pk) for pk, at in published.items()]
    chosen = [(at, CHOSEN, pk) for at, pk in picks]
    left = [(gone, GONE, pk) for pk, _, gone in lives if gone is not None]
    standing: set[int] = set()
    moves: list[tuple[datetime, int | None]] = []
    for at, what, pk in sorted(came + chosen + left):
        standing = standing - {pk} if what == GONE else standing | {pk}
        if what != GONE:
            moves.append((at, pk))
        elif moves and moves[-1][1] == pk:
            newest = max(standing, key=lambda each: (published[each], each), default=None)
            moves.append((at, newest))
    return moves


class HeadMoveQuerySet(models.QuerySet["HeadMove"]):
    """Moves by what one wants of them."""

    def of(self, channel: str, system: str) -> HeadMoveQuerySet:
        """Those of one channel on one system, the last one first."""
        return self.filter(channel__name=channel, system=system).order_by("-at", "-pk")

    def standing(self, channel: str, system: str, at: datetime) -> HeadMove | None:
        """The one that held at a time, with its release and channel; None before the first."""
        found = self.of(channel, system).filter(at__lte=at)
        return found.select_related("release__channel").first()

    def next_after(self, move: HeadMove) -> HeadMove | None:
        """The one that ended another, if that has ended."""
        later = Q(at__gt=move.at) | Q(at=move.at, pk__gt=move.pk)
        same = self.filter(later, channel=move.channel_id, system=move.system)
        return same.order_by("at", "pk").first()

    def note(self, channel: Channel, system: str, release: Release | None, *, at: datetime) -> None:
        """Note where a head is now; nothing where it was there before."""
        last = self.filter(channel=channel, system=system).order_by("-at", "-pk").first()
        now = None if release is None else release.pk
        if (last.release_id if last else None) == now:
            return
        # Never before the last one: the order of the moves is what is certain.
        time = max(at, last.at) if last else at
        self.create(channel=channel, system=system, release=release, at=time)

    def derive(self, channel: Channel, system: str) -> None:
        """Make the moves that its releases tell of, where none were noted."""
        same = {"channel": channel, "system": system}
        if self.filter(**same).exists():
            return
        rows = channel.releases.filter(system=system).known_to_outside()
        lives = [
            (pk, at, gone if status == ReleaseStatus.WITHDRAWN else None)
            for pk, at, gone, status in rows.values_list(
                "pk", "published_at", "finished_at", "status"
            )
            if at is not None
        ]
        self.bulk_create(HeadMove(release_id=pk, at=at, **same) for at, pk in derived(lives))


class HeadMove(models.Model):
    """From `at` on this release was the latest; none: there was none."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="head_moves")
    system = models.CharField(max_length=20, choices=System)
    release = models.ForeignKey(
        "builds.Release", on_delete=models.CASCADE, null=True, related_name="head_moves"
    )
    at = models.DateTimeField()

    objects = HeadMoveQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["channel", "system", "-at"])]
        constraints = [
            models.CheckConstraint(
                name="head_move_system_is_known",
                condition=Q(system__in=sorted(System.values)),
            ),
        ]

    def __str__(self) -> str:
        name = self.release.version if self.release else "none"
        return f"{self.channel} {self.system} → {name}"
