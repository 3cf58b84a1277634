"""API tokens: what programs show to act in somebody's name; only their digests are kept."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q

from builds.choices import Act, Scope
from builds.models.actor import Actor
from builds.models.audit import AuditEntry
from builds.models.token_text import HINT, digest_of, new_text

if TYPE_CHECKING:
    from django.contrib.auth.models import User

USE_IS_NOTED_EVERY = timedelta(minutes=1)
# What has ended is still listed for a while, so that its owner sees why a program fails.
SHOWN_AFTER_END = timedelta(days=30)


class TokenQuerySet(models.QuerySet["Token"]):
    """Tokens by what one wants of them."""

    def make(
        self,
        owner: User,
        name: str,
        *,
        scopes: Collection[str],
        channels: Collection[str] = (),
        expires_at: datetime,
        by: Actor,
        at: datetime,
    ) -> tuple[Token, str]:
        """A new token, and its text, which is known here and now and never again.

        Raises IntegrityError where the owner has one of this name that is not revoked.
        """
        text = new_text()
        with transaction.atomic():
            token = self.create(
                owner=owner,
                name=name,
                digest=digest_of(text),
                hint=text[:HINT],
                scopes=[scope for scope in Scope.values if scope in scopes],
                channels=sorted(channels),
                created_at=at,
                expires_at=expires_at,
            )
            reason = f"{token.in_words()}; until {expires_at:%Y-%m-%d}"
            AuditEntry.objects.record(Act.ADD, token, by=by, at=at, reason=reason)
        return token, text

    def written(self, text: str) -> Token | None:
        """The token of this text, in whatever state; raises NoToken.

        Found by its digest: how long that takes tells nothing of the text.
        """
        return self.filter(digest=digest_of(text)).select_related("owner").first()

    def of(self, owner: User) -> TokenQuerySet:
        """Those of one person."""
        return self.filter(owner=owner)

    def live(self, at: datetime) -> TokenQuerySet:
        """Those that are neither revoked nor expired; their owners may have been shut out."""
        return self.filter(revoked_at=None, expires_at__gt=at)

    def shown(self, at: datetime) -> TokenQuerySet:
        """Those that live, and those that ended not long ago."""
        since = at - SHOWN_AFTER_END
        return self.filter(
            Q(revoked_at=None, expires_at__gt=since) | Q(revoked_at__gt=since)
        ).select_related("owner")

    def forgettable(self, at: datetime) -> TokenQuerySet:
        """Those that ended so long ago that nobody is shown them; the audit trail remembers."""
        before = at - SHOWN_AFTER_END
        return self.filter(Q(revoked_at__lte=before) | Q(expires_at__lte=before))


class Token(models.Model):
    """One token. Its owner's own permissions are looked at with each request, too."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=60, help_text="What uses it.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of its text, in hex.")
    hint = models.CharField(max_length=HINT, help_text="How its text begins.")
    scopes = models.JSONField(default=list)
    # Names, not rows: were a channel deleted, a list of rows would become that of all channels.
    channels = models.JSONField(default=list, blank=True, help_text="Empty: every channel.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        ordering = ["-created_at", "-pk"]
        default_permissions = ("view",)
        permissions = [("revoke_token", "Can revoke API tokens of others")]
        constraints = [
            models.CheckConstraint(
                name="token_digest_is_hex", condition=Q(digest__regex=r"\A[0-9a-f]{64}\Z")
            ),
            models.CheckConstraint(
                name="token_expires_after_it_was_made",
                condition=Q(expires_at__gt=F("created_at")),
            ),
            models.UniqueConstraint(
                name="one_token_of_a_name",
                fields=["owner", "name"],
                condition=Q(revoked_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.owner}"

    def revoke(self, *, by: Actor, at: datetime, reason: str = "") -> bool:
        """End it for good; false where that was done before."""
        with transaction.atomic():
            live = Token.objects.filter(pk=self.pk, revoked_at=None)
            if not live.update(revoked_at=at):
                return False
            self.revoked_at = at
            said = f"revoked: {reason}" if reason else "revoked"
            AuditEntry.objects.record(Act.CHANGE, self, by=by, at=at, reason=said)
        return True

    def note_use(self, *, at: datetime) -> None:
        """Note that it is used now; written once a minute at most, however often it is."""
        before = at - USE_IS_NOTED_EVERY
        if self.last_used_at is None or self.last_used_at <= before:
            long_ago = Q(last_used_at=None) | Q(last_used_at__lte=before)
            Token.objects.filter(long_ago, pk=self.pk).update(last_used_at=at)
            self.last_used_at = at

    # What it says of itself.

    @property
    def actor(self) -> Actor:
        """Who acts where this token does, for the audit trail."""
        return Actor(f"token {self}", self.owner_id)

    def refusal(self, at: datetime) -> str:
        """Why it opens nothing any more, as a sentence; "" where it does."""
        if self.revoked_at is not None:
            return f"This token was revoked on {self.revoked_at:%Y-%m-%d}."
        if self.expires_at <= at:
            return f"This token expired on {self.expires_at:%Y-%m-%d}."
        return "" if self.owner.is_active else "The account that owns this token is shut."

    def has(self, scope: Scope) -> bool:
        """Whether it was made for this."""
        return scope in self.scopes

    def covers(self, channel: str) -> bool:
        """Whether it may do something to a channel of this name."""
        return not self.channels or channel in self.channels

    def in_words(self) -> str:
        """What it was made for: trigger, cancel; of demo."""
        where = f"of {', '.join(self.channels)}" if self.channels else "of every channel"
        return f"{', '.join(self.scopes)}; {where}"
