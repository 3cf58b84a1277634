"""Totals: what has happened since the beginning, counted up once and never down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from django.db import models, transaction

ONLY = 1
Labels = tuple[str, ...]
Numbers = Mapping[str, Mapping[Labels, float]]
_BETWEEN = "|"  # no channel, system, variant, role, status or check has it in its name


class TotalsQuerySet(models.QuerySet["Totals"]):
    """The one row there is."""

    def current(self) -> Totals:
        """What was counted so far; nothing where nothing was."""
        return self.filter(pk=ONLY).first() or Totals(pk=ONLY)

    def locked(self) -> Totals:
        """The row, for this transaction alone."""
        self.bulk_create([Totals(pk=ONLY)], ignore_conflicts=True)
        return self.select_for_update().get(pk=ONLY)

    def add(self, numbers: Numbers) -> None:
        """Count these, too."""
        with transaction.atomic():
            totals = self.locked()
            totals.count(numbers)
            totals.save()


class Totals(models.Model):
    """Every number that only grows, by its name and labels.

    Rows are counted here when they end, so that a number stays what it was when its rows are
    changed, tried again or deleted, and nobody has to count them all to tell it.
    """

    up_to = models.DateTimeField(
        null=True, blank=True, help_text="What ended until then has been counted."
    )
    numbers = models.JSONField(default=dict, help_text="name: {labels: number}")

    objects = TotalsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "totals"

    def __str__(self) -> str:
        return f"totals up to {self.up_to or 'the beginning'}"

    def count(self, numbers: Numbers) -> None:
        """Add to what is there."""
        for name, by_labels in numbers.items():
            known = Counter(self.numbers.get(name, {}))
            known.update({_BETWEEN.join(labels): n for labels, n in by_labels.items()})
            self.numbers[name] = dict(known)

    def of(self, name: str) -> Iterable[tuple[Labels, float]]:
        """Labels and number of all that was counted by this name."""
        found = sorted(self.numbers.get(name, {}).items())
        return [(tuple(labels.split(_BETWEEN)), number) for labels, number in found]
