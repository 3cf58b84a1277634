"""Followed: another portal, or a mirror of one, whose releases are published here too."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from builds import outward
from builds.choices import System
from builds.models.channel import channel_name
from builds.models.lease import Leased, is_free, lease_end


class FollowedQuerySet(models.QuerySet["Followed"]):
    """Followed portals by what one wants of them."""

    def active(self) -> FollowedQuerySet:
        """Those that the worker looks at again and again."""
        return self.filter(is_active=True)

    def named(self, url: str) -> Followed | None:
        """The row of a URL, with or without a slash at its end."""
        return self.filter(url=url.rstrip("/")).first()

    def remember(self, url: str, **fields: Any) -> Followed:
        """The row of a URL, made where it is new; what is given is kept. Raises ValidationError."""
        row = self.named(url) or Followed(url=url.rstrip("/"))
        for name, value in fields.items():
            setattr(row, name, value)
        row.full_clean()
        row.save()
        return row


class Followed(Leased):
    """A portal that is followed, by its URL; its lease is held by who follows it right now."""

    url = models.CharField(max_length=1000, unique=True, editable=False)
    channels = models.JSONField(
        default=list, blank=True, help_text="Names; none: every channel that this portal knows."
    )
    systems = models.JSONField(default=list, blank=True, help_text="None: all.")
    last = models.PositiveSmallIntegerField(
        default=1, help_text="So many of the newest releases are fetched, where they are new here."
    )
    allowed_signers = models.TextField(
        blank=True,
        editable=False,
        help_text="Pinned at the first follow, as ssh-keygen reads it; empty: only digests.",
    )
    is_active = models.BooleanField(default=True, help_text="Looked at again and again.")
    created_at = models.DateTimeField(auto_now_add=True)
    tried_at = models.DateTimeField(null=True, blank=True, editable=False)
    heard_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When all of it was last read well."
    )
    error = models.TextField(blank=True, editable=False, help_text="Why not since, in sentences.")

    objects = FollowedQuerySet.as_manager()

    class Meta:
        verbose_name = "followed portal"
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.url

    def clean(self) -> None:
        """Refuse what is no URL, channel or system; the address is up to who names it."""
        try:
            outward.check_url(self.url, EVERYWHERE)
        except outward.Refused as error:
            raise ValidationError({"url": str(error)}) from None
        for name in self.channels:
            channel_name(name)
        unknown = [name for name in self.systems if name not in System.values]
        if unknown:
            raise ValidationError({"systems": f"There is no system {unknown[0]}."})

    @property
    def wants_signatures(self) -> bool:
        """Whether a release without a signature of a pinned key is refused."""
        return bool(self.allowed_signers)

    def hold(self, worker: str) -> bool:
        """Take it to follow it; false where somebody else is at it."""
        return self.take(worker, is_free())

    def beat(self) -> None:
        """Say that the follower is alive; raises LeaseLost where it is no longer ours."""
        self.write(Q(), lease_until=lease_end())

    def note(self, errors: list[str], *, at: datetime) -> None:
        """Note what came of following it; it was heard where nothing was wrong."""
        heard = {} if errors else {"heard_at": at}
        self.write(Q(), tried_at=at, error="\n".join(errors), **heard)
        self.refresh_from_db()


# Who says on the portal's own machine what is followed may name any address.
EVERYWHERE = tuple(map(outward.network, ("0.0.0.0/0", "::/0")))
