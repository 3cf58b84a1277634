"""Transfers: where a release came from that this portal did not build."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from builds.choices import TransferKind
from builds.models.release import Release


class Transfer(models.Model):
    """Where a release was made, and what was verified when it came here."""

    release = models.OneToOneField(Release, on_delete=models.CASCADE, related_name="transfer")
    kind = models.CharField(max_length=10, choices=TransferKind)
    source = models.CharField(max_length=1000, help_text="The URL, or the name of the file.")
    signer = models.CharField(
        max_length=200,
        blank=True,
        help_text="Whose signature was verified; empty: only digests were.",
    )
    taken_at = models.DateTimeField(help_text="When it was published here.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="transfer_kind_is_known", condition=Q(kind__in=sorted(TransferKind.values))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.release}, {self.get_kind_display()} from {self.source}"
