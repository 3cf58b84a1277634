"""Subscriptions: who is told of events, by which way, and with which secret."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from builds import webhook
from builds.choices import EventKind, Means
from builds.models.channel import Channel

if TYPE_CHECKING:
    from builds.models.notice import Event

OLD_SECRET_SIGNS_FOR = timedelta(hours=24)
FAILS_FOR = timedelta(days=5)


def new_nonce() -> str:
    """What makes the secret of one subscription its own."""
    return secrets.token_urlsafe(24)


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    """Subscriptions by what one wants of them."""

    def reachable(self) -> SubscriptionQuerySet:
        """Those that are told at all: active, and no e-mail where none can be sent."""
        active = self.filter(is_active=True)
        return active if settings.MAIL_IS_ON else active.exclude(means=Means.MAIL)

    def of_all_staff(self) -> SubscriptionQuerySet:
        """The one by which all staff are told by e-mail, if it is there."""
        return self.filter(means=Means.MAIL, address="")

    def wanting(self, event: Event) -> list[Subscription]:
        """Those that are told of this event."""
        candidates = self.reachable().prefetch_related("channels")
        return [subscription for subscription in candidates if subscription.wants(event)]

    def ensure_admins(self) -> Subscription:
        """The one by which all staff are told by e-mail; made where it is missing."""
        row, _ = self.get_or_create(
            means=Means.MAIL, address="", defaults={"name": "E-mail to all staff"}
        )
        return row


class Subscription(models.Model):
    """Who is told of what: a webhook's URL, or an e-mail address."""

    name = models.CharField(max_length=100, help_text="Who it is for.")
    means = models.CharField(max_length=10, choices=Means, default=Means.WEBHOOK)
    url = models.CharField(max_length=1000, blank=True, help_text="Where a webhook is sent to.")
    address = models.EmailField(
        blank=True, help_text="Where an e-mail goes; empty: to all active staff with an address."
    )
    kinds = models.JSONField(default=list, blank=True, help_text="None chosen: of every kind.")
    channels = models.ManyToManyField(Channel, blank=True, help_text="None chosen: of every one.")
    is_active = models.BooleanField(default=True, help_text="Told of what happens from now on.")
    failing_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Nothing was taken since then."
    )
    switched_off_at = models.DateTimeField(null=True, blank=True, editable=False)
    switched_off_why = models.TextField(
        blank=True, editable=False, help_text="Why the portal switched it off by itself."
    )
    nonce = models.CharField(max_length=64, default=new_nonce, editable=False)
    nonce_before = models.CharField(max_length=64, blank=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(
                name="subscription_means_is_known",
                condition=Q(means__in=sorted(Means.values)),
            ),
            models.CheckConstraint(
                name="webhook_has_a_url",
                condition=~Q(means=Means.WEBHOOK) | ~Q(url=""),
                violation_error_message="A webhook needs a URL.",
            ),
            models.UniqueConstraint(
                name="one_subscription_for_all_staff",
                fields=["means"],
                condition=Q(means=Means.MAIL, address=""),
                violation_error_message="All staff are told by e-mail already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a URL that no webhook goes to, and kinds that there are not."""
        if unknown := set(self.kinds) - set(EventKind.wanted()):
            raise ValidationError({"kinds": f"unknown: {', '.join(sorted(unknown))}"})
        if self.means == Means.WEBHOOK and self.url:
            try:
                webhook.check_url(self.url, settings.WEBHOOK_NETWORKS)
            except webhook.Refused as error:
                raise ValidationError({"url": str(error)}) from None

    def wants(self, event: Event) -> bool:
        """Whether it is told of events of this kind and channel."""
        channels = {channel.pk for channel in self.channels.all()}
        return (not self.kinds or event.kind in self.kinds) and (
            not channels or event.channel_id in channels
        )

    def recipients(self) -> list[str]:
        """Where an e-mail goes."""
        if self.address:
            return [self.address]
        staff = get_user_model().objects.filter(is_active=True, is_staff=True).exclude(email="")
        return sorted(staff.values_list("email", flat=True).distinct())

    @property
    def secret(self) -> str:
        """What its webhooks are signed with, as the subscriber has it."""
        return webhook.derive_secret(settings.SECRET_KEY, self.nonce)

    def secrets_at(self, at: datetime) -> list[str]:
        """What is signed with now: after a change the old secret signs too, for a day."""
        if self.rotated_at is None or at - self.rotated_at > OLD_SECRET_SIGNS_FOR:
            return [self.secret]
        return [self.secret, webhook.derive_secret(settings.SECRET_KEY, self.nonce_before)]

    # What its deliveries say of it.

    def note_taken(self) -> None:
        """Note that it takes what it is sent."""
        Subscription.objects.filter(pk=self.pk, failing_since__isnull=False).update(
            failing_since=None
        )

    def note_refused(self, *, at: datetime) -> None:
        """Note that it does not; since when stays as it was noted first."""
        Subscription.objects.filter(pk=self.pk, failing_since=None).update(failing_since=at)
        self.refresh_from_db(fields=["failing_since"])

    def has_failed_for_long(self, at: datetime) -> bool:
        """Whether nothing was taken for so long that nobody seems to be there."""
        return self.failing_since is not None and at - self.failing_since >= FAILS_FOR

    def switch_off(self, why: str, *, at: datetime) -> bool:
        """Tell it of nothing any more, until an admin switches it on again."""
        return bool(
            Subscription.objects.filter(pk=self.pk, is_active=True).update(
                is_active=False, switched_off_at=at, switched_off_why=why
            )
        )

    def forget_failures(self) -> None:
        """Begin anew, because an admin looked after it."""
        self.failing_since = self.switched_off_at = None
        self.switched_off_why = ""

    def rotate(self, *, at: datetime) -> None:
        """Give it a new secret."""
        self.nonce, self.nonce_before, self.rotated_at = new_nonce(), self.nonce, at
        self.save(update_fields=["nonce", "nonce_before", "rotated_at"])
