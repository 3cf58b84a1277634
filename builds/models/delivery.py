"""Deliveries: how the telling of each event to each subscriber stands, and each try."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models import Count, Exists, F, Min, OuterRef, Q

from builds.choices import DeliveryStatus
from builds.models.lease import Leased, is_free
from builds.models.subscription import Subscription

if TYPE_CHECKING:
    from builds.models.notice import Event

# How long after each failed attempt the next one comes; after the last one it is given up.
BACK_OFF = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)
MOST_ATTEMPTS = len(BACK_OFF) + 1


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Deliveries by what one wants of them."""

    def waiting(self) -> DeliveryQuerySet:
        """Those that still have an attempt to come."""
        return self.filter(status=DeliveryStatus.WAITING)

    def first_in_line(self) -> DeliveryQuerySet:
        """Those with none before them at their subscriber; sending again is out of the line."""
        before = Delivery.objects.waiting().filter(
            subscription=OuterRef("subscription"),
            event__sequence__lt=OuterRef("event__sequence"),
            is_again=False,
        )
        return self.waiting().filter(Q(is_again=True) | ~Exists(before))

    def sendable(self, at: datetime) -> DeliveryQuerySet:
        """Those to be sent at this time, the oldest event first."""
        return (
            self.first_in_line()
            .filter(is_free(), next_at__lte=at, subscription__is_active=True)
            .order_by("event__sequence", "pk")
            .select_related("event", "subscription")
        )

    def next_due(self) -> datetime | None:
        """When the next attempt comes, None where none does."""
        line = self.first_in_line().filter(subscription__is_active=True)
        return line.order_by("next_at").values_list("next_at", flat=True).first()

    def by_means(self) -> dict[str, dict[str, Any]]:
        """How many wait and were given up, and since when the first waits, by webhook and mail."""
        waiting = Q(status=DeliveryStatus.WAITING, subscription__is_active=True)
        given_up = Q(status=DeliveryStatus.GIVEN_UP)
        rows = (
            self.exclude(status=DeliveryStatus.DELIVERED).order_by().values("subscription__means")
        )
        found = rows.annotate(
            waiting=Count("pk", filter=waiting),
            given_up=Count("pk", filter=given_up),
            oldest_at=Min("event__at", filter=waiting),
        )
        return {row["subscription__means"]: row for row in found}

    def fan_out(self, event: Event, to: list[Subscription]) -> None:
        """Let an event wait for each of these subscribers."""
        self.bulk_create(
            Delivery(event=event, subscription=subscription, next_at=event.at)
            for subscription in to
        )


class Delivery(Leased):
    """The telling of one event to one subscriber, until it is taken or given up.

    Its lease is held by who sends it; one whose sender died is sent again when it has run out.
    """

    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="deliveries"
    )
    event = models.ForeignKey("Event", on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(
        max_length=10, choices=DeliveryStatus, default=DeliveryStatus.WAITING, editable=False
    )
    is_again = models.BooleanField(default=False, help_text="An admin has it sent once more.")
    attempts_made = models.PositiveSmallIntegerField(default=0, help_text="Since it waits.")
    next_at = models.DateTimeField(help_text="When the next attempt comes, while it waits.")
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-event__sequence", "subscription"]
        verbose_name_plural = "deliveries"
        indexes = [models.Index(fields=["status", "next_at"])]
        constraints = [
            models.UniqueConstraint(
                name="one_delivery_per_subscriber", fields=["event", "subscription"]
            ),
            models.CheckConstraint(
                name="delivery_status_is_known",
                condition=Q(status__in=sorted(DeliveryStatus.values)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.subscription}"

    def start(self, worker: str, *, at: datetime) -> bool:
        """Take it to send it; false where somebody was faster, or it is not to be sent now."""
        held = Q(status=DeliveryStatus.WAITING, next_at__lte=at) & is_free()
        return self.take(worker, held, attempts_made=F("attempts_made") + 1)

    def succeed(self, *, at: datetime, **said: Any) -> None:
        """Note that it was taken; raises LeaseLost where it is no longer ours."""
        with transaction.atomic():
            self.write(
                Q(status=DeliveryStatus.WAITING),
                status=DeliveryStatus.DELIVERED,
                finished_at=at,
                lease_until=None,
            )
            self._log(at, **said)

    def fail(self, error: str, *, at: datetime, is_last: bool = False, **said: Any) -> None:
        """Note a failed attempt, and when the next one comes, or that it is given up."""
        later: dict[str, Any] = {"status": DeliveryStatus.GIVEN_UP, "finished_at": at}
        if self.attempts_made < MOST_ATTEMPTS and not is_last:
            later = {"next_at": at + BACK_OFF[self.attempts_made - 1]}
        with transaction.atomic():
            self.write(Q(status=DeliveryStatus.WAITING), lease_until=None, **later)
            self._log(at, error=error, **said)

    def send_again(self, *, at: datetime) -> None:
        """Let it be sent now: one that has ended goes once more, out of the line."""
        rows = Delivery.objects.filter(pk=self.pk)
        fresh = {"attempts_made": 0, "next_at": at, "finished_at": None}
        if not rows.waiting().update(next_at=at):
            rows.update(status=DeliveryStatus.WAITING, is_again=True, **fresh)
        self.refresh_from_db()

    @property
    def is_given_up(self) -> bool:
        """Whether no attempt follows by itself."""
        return self.status == DeliveryStatus.GIVEN_UP

    def _log(self, at: datetime, **said: Any) -> None:
        self.refresh_from_db()
        Attempt.objects.create(delivery=self, worker=self.worker, at=at, **said)


class Attempt(models.Model):
    """One try at a delivery: what came of it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    at = models.DateTimeField()
    worker = models.CharField(max_length=200, blank=True)
    response_code = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="HTTP status; none where there was no answer."
    )
    error = models.TextField(blank=True, help_text="Empty where it was taken.")
    seconds = models.FloatField(help_text="How long it took.")

    class Meta:
        ordering = ["delivery", "pk"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}: {self.error or 'taken'}"
