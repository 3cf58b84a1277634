"""Hosts: machines that boot what was set down for them, at an address of their own."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac

from builds.choices import System
from builds.models.channel import Channel

_SALT = "builds.host"
_TOKEN_BYTES = 24


def new_nonce() -> str:
    """What makes the token of one host its own."""
    return secrets.token_urlsafe(24)


def digest_of(token: str) -> str:
    """What is kept of a token, to find its host by."""
    return hashlib.sha256(token.encode()).hexdigest()


class HostQuerySet(models.QuerySet["Host"]):
    """Hosts by what one wants of them."""

    def by_token(self, token: str) -> Host | None:
        """The host whose address has this token, with its channel."""
        return self.select_related("channel").filter(token_digest=digest_of(token)).first()


class Host(models.Model):
    """One machine, or several alike: what it boots, with which options, and when it last asked.

    Its address holds a token. The token is made from the portal's own key and the nonce, so that
    it can be shown again; the row alone does not tell it.
    """

    name = models.CharField(max_length=100, unique=True, help_text="Which machine it is.")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="hosts")
    version = models.CharField(
        max_length=100, blank=True, help_text="Empty: the latest of the channel."
    )
    system = models.CharField(max_length=20, choices=System, default=System.X86_64)
    options = models.JSONField(
        default=dict, blank=True, editable=False, help_text="Texts of boot options, by their name."
    )
    boots_once = models.BooleanField(
        default=False,
        help_text="Once it was booted, its script leaves to the machine's next boot device.",
    )
    booted_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was booted that once."
    )
    seen_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When its script was last asked for."
    )
    seen_address = models.GenericIPAddressField(
        null=True, blank=True, editable=False, help_text="From where."
    )
    nonce = models.CharField(max_length=64, default=new_nonce, editable=False)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = HostQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="host_system_is_known", condition=Q(system__in=sorted(System.values))
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **named: object) -> None:
        """Give a new host its token."""
        if not self.token_digest:
            self.token_digest = digest_of(self._token())
        super().save(*args, **named)  # type: ignore[arg-type]

    def clean(self) -> None:
        """Refuse a version that the channel never had for this system."""
        if self.version and self.channel_id:
            known = self.channel.releases.filter(version=self.version, system=self.system)
            if not known.exists():
                text = f"{self.channel} has no {self.version} for {self.system}."
                raise ValidationError({"version": text})

    @property
    def token(self) -> str | None:
        """What its address holds; None where the portal's key has changed since it was made."""
        token = self._token()
        return token if digest_of(token) == self.token_digest else None

    @property
    def is_done(self) -> bool:
        """Whether it was to boot once, and has."""
        return self.boots_once and self.booted_at is not None

    # State changes.

    def note_seen(self, address: str | None, *, at: datetime) -> None:
        """Note that its script was asked for."""
        Host.objects.filter(pk=self.pk).update(seen_at=at, seen_address=address)

    def note_booting(self, *, at: datetime) -> bool:
        """Note that it starts what it has loaded; false where it may not, having booted once."""
        free = Host.objects.filter(Q(boots_once=False) | Q(booted_at=None), pk=self.pk)
        return bool(free.update(booted_at=at))

    def arm(self) -> None:
        """Let it boot once more."""
        self.booted_at = None
        self.save(update_fields=["booted_at"])

    def move(self) -> None:
        """Give it another address; the one before is nobody's from now on."""
        self.nonce = new_nonce()
        self.token_digest = digest_of(self._token())
        self.save(update_fields=["nonce", "token_digest"])

    def _token(self) -> str:
        made = salted_hmac(_SALT, self.nonce, algorithm="sha256").digest()[:_TOKEN_BYTES]
        return base64.urlsafe_b64encode(made).decode()
