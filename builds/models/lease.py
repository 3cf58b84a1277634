"""Leases: who works on a row, until when, and under which fence number."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class LeaseLost(Exception):
    """The row is somebody else's by now; whoever sees this must stop and write nothing."""


def lease_length() -> timedelta:
    """For how long a holder need not be heard of."""
    return timedelta(seconds=settings.LEASE_SECONDS)


def is_free() -> models.Q:
    """The rows that nobody holds, or whose holder has not been heard of for a whole lease."""
    return models.Q(lease_until=None) | models.Q(lease_until__lt=Now())


def lease_end() -> models.expressions.Combinable:
    """When a lease taken or renewed now ends, by the database's clock."""
    return models.ExpressionWrapper(Now() + lease_length(), output_field=models.DateTimeField())


class Leased(models.Model):
    """A row that one worker at a time works on.

    Taking it raises the fence; every write names the fence that it was taken under, so that a
    worker that was paused past its lease and wakes up late changes nothing.
    """

    worker = models.CharField(max_length=200, blank=True)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def take(self, worker: str, held: models.Q, **fields: Any) -> bool:
        """Take the lease if the row still fulfils `held`; false where somebody was faster."""
        taken = (
            self._rows()
            .filter(held, pk=self.pk, fence=self.fence)
            .update(worker=worker, fence=self.fence + 1, lease_until=lease_end(), **fields)
        )
        if taken:
            self.refresh_from_db()
        return bool(taken)

    def write(self, held: models.Q, **fields: Any) -> None:
        """Write under the lease that this instance holds; raises LeaseLost where it is gone.

        The instance itself keeps what it was read as: a heartbeat may write from another thread.
        """
        written = self._rows().filter(held, pk=self.pk, fence=self.fence).update(**fields)
        if not written:
            raise LeaseLost(f"{self._meta.verbose_name} {self.pk} is no longer ours")

    def let_go(self) -> None:
        """Give the lease back, if it is still this instance's."""
        self._rows().filter(pk=self.pk, fence=self.fence).update(lease_until=None)

    def reread(self) -> None:
        """Read the row again, but keep the fence that this instance took, or never took.

        Reading another worker's fence would let a late one write as if it were that worker.
        """
        names = {field.attname for field in self._meta.concrete_fields}
        self.refresh_from_db(fields=names - {"fence"})

    @property
    def is_held(self) -> bool:
        """Whether a worker holds it right now, by the database's clock."""
        return not self._rows().filter(is_free(), pk=self.pk).exists()

    def _rows(self) -> models.QuerySet[Self]:
        return models.QuerySet(type(self))
