"""Events: what happened to a release or a channel, frozen for those who are told."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Max, Q

from builds.choices import EventKind, System
from builds.models.channel import Channel
from builds.models.delivery import Delivery
from builds.models.subscription import Subscription

if TYPE_CHECKING:
    from builds.models.release import Release

MOST_EXCERPT = 2000  # characters of a log's end


class EventQuerySet(models.QuerySet["Event"]):
    """Events by what one wants of them."""

    def stale_since(self, channel: Channel, system: str, since: datetime) -> EventQuerySet:
        """Those that told that nothing came after this time."""
        return self.filter(kind=EventKind.STALE, channel=channel, system=system, since=since)

    def record(self, kind: EventKind, release: Release, *, at: datetime, reason: str = "") -> Event:
        """Note what has happened to a release, for all who want to know.

        Call it last in the transaction of the change itself: either both are there or none is.
        """
        event = Event(kind=kind, channel=release.channel, system=release.system, at=at)
        event.release = release
        event.payload = event.shape(
            version=release.version,
            release_url=f"{settings.PORTAL_URL}{release.get_absolute_url()}",
            revision=release.revision,
            reason=reason or release.reason,
            excerpt=release.excerpt[-MOST_EXCERPT:],
        )
        return self._append(event, Subscription.objects.wanting(event))

    def record_stale(
        self, channel: Channel, system: str, since: datetime, last: Release | None, *, at: datetime
    ) -> Event | None:
        """Note that nothing came after `since`; None where that was noted before."""
        event = Event(kind=EventKind.STALE, channel=channel, system=system, at=at, since=since)
        event.payload = event.shape(
            version=last.version if last else None,
            release_url=f"{settings.PORTAL_URL}{(last or channel).get_absolute_url()}",
            revision=last.revision if last else "",
            reason=f"No release for {(at - since).days} days.",
        )
        try:
            return self._append(event, Subscription.objects.wanting(event))
        except IntegrityError:
            if self.stale_since(channel, system, since).exists():
                return None
            raise

    def record_switched_off(self, subscription: Subscription, why: str, *, at: datetime) -> Event:
        """Note that a subscriber is told of nothing any more; staff alone hear of it."""
        event = Event(kind=EventKind.SWITCHED_OFF, at=at)
        event.payload = event.shape(reason=f"{subscription}: {why}")
        return self._append(event, list(Subscription.objects.reachable().of_all_staff()))

    def forgettable(self, before: datetime) -> EventQuerySet:
        """The old ones that nobody waits for and nothing is counted from.

        The newest of all gives the next one its number; the newest staleness of a channel and
        system says that it was told.
        """
        old = self.filter(at__lt=before)
        awaited = Delivery.objects.waiting().filter(
            event=models.OuterRef("pk"), subscription__is_active=True
        )
        later = Event.objects.filter(sequence__gt=models.OuterRef("sequence"))
        stale_later = later.filter(
            kind=EventKind.STALE,
            channel=models.OuterRef("channel"),
            system=models.OuterRef("system"),
        )
        told = ~Q(kind=EventKind.STALE) | Q(models.Exists(stale_later))
        return old.filter(~models.Exists(awaited), models.Exists(later), told)

    def ping(self, subscription: Subscription, *, at: datetime) -> Event:
        """A test that goes to one subscriber."""
        event = Event(kind=EventKind.PING, at=at)
        event.payload = event.shape(reason="A test that an admin has sent.")
        return self._append(event, [subscription])

    def _append(self, event: Event, to: list[Subscription]) -> Event:
        """Give an event the next number. Numbers have no gaps and grow as transactions commit.

        Who asks for the same number waits here until the other has committed, and takes the next.
        """
        while True:
            number = (self.aggregate(n=Max("sequence"))["n"] or 0) + 1
            event.sequence = event.payload["sequence"] = number
            try:
                with transaction.atomic():
                    event.save(force_insert=True)
                    Delivery.objects.fan_out(event, to)
            except IntegrityError:
                if not self.filter(sequence=number).exists():
                    raise
            else:
                return event


class Event(models.Model):
    """Something that happened; written together with the change itself, and never changed."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sequence = models.PositiveBigIntegerField(unique=True, editable=False)
    kind = models.CharField(max_length=12, choices=EventKind)
    at = models.DateTimeField()
    channel = models.ForeignKey(
        Channel, on_delete=models.SET_NULL, null=True, blank=True, related_name="events"
    )
    system = models.CharField(max_length=20, choices=System, blank=True)
    release = models.ForeignKey(
        "Release", on_delete=models.SET_NULL, null=True, blank=True, related_name="events"
    )
    since = models.DateTimeField(
        null=True, blank=True, help_text="For stale: when the last good news was."
    )
    payload = models.JSONField(help_text="What subscribers get; see docs/notifications.md.")

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-sequence"]
        constraints = [
            models.CheckConstraint(
                name="event_kind_is_known", condition=Q(kind__in=sorted(EventKind.values))
            ),
            models.UniqueConstraint(
                name="stale_is_told_once",
                fields=["channel", "system", "since"],
                condition=Q(kind=EventKind.STALE),
            ),
        ]

    def __str__(self) -> str:
        what = [self.payload.get(word) or "" for word in ("channel", "system", "version")]
        return " ".join(filter(None, [*what, self.kind]))

    def shape(self, **details: Any) -> dict[str, Any]:
        """The payload: these keys are always there, whatever the kind; docs describe them."""
        return {
            "id": str(self.uid),
            "sequence": self.sequence,
            "kind": str(self.kind),
            "at": f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "channel": self.channel.name if self.channel else None,
            "system": str(self.system) or None,
            "version": None,
            "revision": "",
            "release_url": None,
            "since": f"{self.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if self.since else None,
            "reason": "",
            "excerpt": "",
        } | details

    @property
    def body(self) -> bytes:
        """The payload as it is sent: the same bytes each time."""
        return json.dumps(self.payload, sort_keys=True, separators=(",", ":")).encode()
