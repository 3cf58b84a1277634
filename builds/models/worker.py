"""Workers: the machines that build and check, what they serve, and when they were last heard of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from builds.models.lease import lease_length

FORGOTTEN_AFTER = timedelta(days=30)


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers by what one wants of them."""

    def alive(self, at: datetime) -> WorkerQuerySet:
        """Those that have been heard of lately and have not left."""
        return self.filter(left_at=None, seen_at__gt=at - lease_length())

    def forgotten(self, at: datetime) -> WorkerQuerySet:
        """Those that have been gone for so long that nobody asks after them."""
        return self.filter(seen_at__lt=at - FORGOTTEN_AFTER)

    def arrive(self, name: str, queues: Iterable[str], capacity: int, *, at: datetime) -> Worker:
        """Note that a worker is here; one that comes back takes its old row."""
        worker, _ = self.update_or_create(
            name=name,
            defaults={
                "queues": sorted(queues),
                "capacity": capacity,
                # Not the database's clock: this is compared for equality, and SQLite's has
                # fewer digits than what Python asks for.
                "started_at": at,
                "seen_at": Now(),
                "left_at": None,
            },
        )
        worker.refresh_from_db()
        return worker


class Worker(models.Model):
    """One Celery worker; it writes its own row by heartbeat."""

    name = models.CharField(max_length=200, unique=True, help_text="worker@host")
    queues = models.JSONField(default=list, help_text="The queues that it serves.")
    capacity = models.PositiveSmallIntegerField(help_text="How much it does at the same time.")
    portal_version = models.CharField(max_length=40, blank=True)
    nix_version = models.CharField(max_length=100, blank=True)
    accelerator = models.CharField(
        max_length=10, blank=True, help_text="kvm, or tcg where boots are emulated."
    )
    store_free = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Free bytes on the disk of the Nix store."
    )
    data_free = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Free bytes on the disk of the data folder."
    )
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def is_there(self, at: datetime) -> bool:
        """Whether it has been heard of lately and has not left."""
        return self.left_at is None and self.seen_at > at - lease_length()

    def beat(self, **facts: object) -> None:
        """Say that it is alive, with what it found out about itself."""
        Worker.objects.filter(pk=self.pk, started_at=self.started_at).update(
            seen_at=Now(), left_at=None, **facts
        )

    def leave(self) -> None:
        """Say that it stops; not where another process has its name by now."""
        Worker.objects.filter(Q(pk=self.pk, started_at=self.started_at)).update(
            seen_at=Now(), left_at=Now()
        )

    def serves(self, queue: str) -> bool:
        """Whether it takes work from a queue."""
        return queue in self.queues

    def is_alive(self, at: datetime) -> bool:
        """Whether it has been heard of lately and has not left."""
        return self.left_at is None and self.seen_at > at - lease_length()
