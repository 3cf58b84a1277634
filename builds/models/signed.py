"""What the signer makes of a channel's heads: small, and valid for these heads only."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime

from django.db import models

from builds.models.channel import Channel


class SignedSumsQuerySet(models.QuerySet["SignedSums"]):
    """Signed sums by what one wants of them."""

    def of(self, channel: str, sha256: str) -> SignedSums | None:
        """What was signed of heads, by their digest; None where they were not."""
        return self.filter(channel__name=channel, sha256=sha256).first()

    def note(
        self, channel: Channel, sha256: str, files: Mapping[str, bytes], key: str, *, at: datetime
    ) -> None:
        """Keep what was signed of the heads of this digest, in place of what was before."""
        texts = {name: _text(name, data) for name, data in files.items()}
        fields = {"sha256": sha256, "files": texts, "key": key, "signed_at": at}
        self.update_or_create(channel=channel, defaults=fields)

    def by_others(self, key: str) -> SignedSumsQuerySet:
        """Those that another key than this has signed."""
        return self.exclude(key=key)


class SignedSums(models.Model):
    """What the signer last made of a channel's heads: signatures of SHA256SUMS, and timestamps."""

    channel = models.OneToOneField(Channel, on_delete=models.CASCADE, related_name="signed_sums")
    sha256 = models.CharField(max_length=64, help_text="Of the text that was signed.")
    files = models.JSONField(help_text="Signatures by the names of their files.")
    key = models.CharField(max_length=40)
    signed_at = models.DateTimeField()

    objects = SignedSumsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "signed sums"

    def __str__(self) -> str:
        return f"SHA256SUMS of {self.channel}, by {self.key}"

    @property
    def contents(self) -> dict[str, bytes]:
        """The files by their names."""
        return {name: _data(name, text) for name, text in self.files.items()}


def _text(name: str, data: bytes) -> str:
    return base64.b64encode(data).decode() if _is_binary(name) else data.decode()


def _data(name: str, text: str) -> bytes:
    return base64.b64decode(text) if _is_binary(name) else text.encode()


def _is_binary(name: str) -> bool:
    """Signatures for iPXE are; a JSON field takes none."""
    return name.endswith(".p7s")
