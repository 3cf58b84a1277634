"""Downloads: how often a file was asked for on a day, and nothing of who asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Sum
from django.db.models.functions import TruncWeek

from builds.choices import Role
from builds.models.artifact import Artifact
from builds.models.totals import Labels, Totals
from builds.tally import Count, Counts

AT_ONCE = 1000
REMEMBERED_FOR = timedelta(days=30)
_MONDAY = 2  # as Django's week_day counts
_ADD = (
    "INSERT INTO builds_downloadcount (artifact_id, day, count, bytes) "
    "SELECT id, %s, %s, %s FROM builds_artifact WHERE id = %s "
    "ON CONFLICT (artifact_id, day) DO UPDATE SET "
    "count = builds_downloadcount.count + excluded.count, "
    "bytes = builds_downloadcount.bytes + excluded.bytes"
)


class DownloadCountQuerySet(models.QuerySet["DownloadCount"]):
    """Counts by what one wants of them."""

    def add(self, counts: Counts) -> None:
        """Add to what is there; of artifacts that are gone nothing is kept.

        The database adds, so that two writers at once lose nothing.
        """
        adapt = connection.ops.adapt_datefield_value
        rows = [
            (adapt(day), each.count, each.bytes, artifact)
            for (artifact, day), each in sorted(counts.items())
        ]
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(_ADD, rows)

    def of(self, channel_id: int, system: str) -> DownloadCountQuerySet:
        """Those of a channel's releases for one system."""
        return self.filter(artifact__release__channel=channel_id, artifact__release__system=system)

    def whole(self) -> DownloadCountQuerySet:
        """Those of files of which a machine takes one: a netboot is its initrd, not its kernel."""
        return self.exclude(artifact__role__in=[Role.KERNEL, Role.IPXE])

    def since(self, day: date) -> DownloadCountQuerySet:
        """Those of this day and later."""
        return self.filter(day__gte=day)

    def weekly(self) -> Iterable[dict[str, Any]]:
        """Monday, variant, downloads and bytes of each week and variant, in order."""
        weeks = self.annotate(week=TruncWeek("day")).values("week", "artifact__variant")
        return weeks.annotate(downloads=Sum("count"), sent=Sum("bytes")).order_by("week")

    def foldable(self, before: date) -> DownloadCountQuerySet:
        """The daily rows of weeks that ended before this day, which is to be a Monday."""
        return self.filter(day__lt=before).exclude(day__week_day=_MONDAY)

    def fold(self, before: date) -> int:
        """Turn the daily rows of old weeks into one row on the Monday; the number folded."""
        folded = 0
        while True:
            with transaction.atomic():
                rows = list(self.foldable(before).select_for_update().order_by("pk")[:AT_ONCE])
                for row in rows:
                    self.add({(row.artifact_id, monday(row.day)): row.as_count()})
                self.filter(pk__in=[row.pk for row in rows]).delete()
            folded += len(rows)
            if len(rows) < AT_ONCE:
                return folded


class DownloadCount(models.Model):
    """One artifact's downloads of one day (UTC); of old weeks, the whole week on its Monday."""

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="downloads")
    day = models.DateField(db_index=True)
    count = models.PositiveBigIntegerField(help_text="Answers that began the file.")
    bytes = models.PositiveBigIntegerField(help_text="Bytes of all answers.")

    objects = DownloadCountQuerySet.as_manager()

    class Meta:
        ordering = ["artifact", "day"]
        constraints = [
            models.UniqueConstraint(name="one_count_per_day", fields=["artifact", "day"]),
        ]

    def __str__(self) -> str:
        return f"{self.count} of {self.artifact_id} on {self.day}"

    def as_count(self) -> Count:
        """What it says, to be added elsewhere."""
        return Count(self.count, self.bytes)


class CountedBatchQuerySet(models.QuerySet["CountedBatch"]):
    """Batches of counts that are in the table."""

    def store(self, name: str, counts: Counts, *, at: datetime) -> bool:
        """Add a batch once, however often it comes; false where it was there."""
        with transaction.atomic():
            _, is_new = self.get_or_create(name=name, defaults={"stored_at": at})
            if is_new:
                DownloadCount.objects.add(counts)
                Totals.objects.add(_by_role(counts))
        return is_new

    def forget(self, *, at: datetime) -> None:
        """Drop the names that nobody can come with again."""
        self.filter(stored_at__lt=at - REMEMBERED_FOR).delete()


class CountedBatch(models.Model):
    """The name of a batch that was taken from Redis and added, so that it is not added twice."""

    name = models.CharField(max_length=40, unique=True)
    stored_at = models.DateTimeField()

    objects = CountedBatchQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class CountedLogQuerySet(models.QuerySet["CountedLog"]):
    """Logs of front servers that were counted."""

    def position(self, identity: str) -> int:
        """The byte up to which this log was counted, 0 where it never was."""
        return self.filter(identity=identity).values_list("offset", flat=True).first() or 0

    def advance(self, identity: str, offset: int, counts: Counts, *, at: datetime) -> None:
        """Add what stands before this byte, and remember that."""
        with transaction.atomic():
            self.update_or_create(identity=identity, defaults={"offset": offset, "counted_at": at})
            DownloadCount.objects.add(counts)
            Totals.objects.add(_by_role(counts))


class CountedLog(models.Model):
    """How far a front server's log was counted; nothing of its lines is kept."""

    identity = models.CharField(
        max_length=120, unique=True, help_text="Device, inode and the first line's time."
    )
    offset = models.PositiveBigIntegerField(default=0, help_text="Bytes.")
    counted_at = models.DateTimeField()

    objects = CountedLogQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.identity} up to byte {self.offset}"


def _by_role(counts: Counts) -> dict[str, Counter[Labels]]:
    """Downloads and bytes by channel, system and role."""
    found: dict[str, Counter[Labels]] = {"downloads": Counter(), "download_bytes": Counter()}
    labels = _labels({artifact for artifact, _ in counts})
    for (artifact, _), count in counts.items():
        if artifact in labels:
            found["downloads"][labels[artifact]] += count.count
            found["download_bytes"][labels[artifact]] += count.bytes
    return found


def _labels(artifacts: set[int]) -> dict[int, Labels]:
    rows: dict[int, Labels] = {}
    wanted = sorted(artifacts)
    for start in range(0, len(wanted), AT_ONCE):
        found = Artifact.objects.filter(pk__in=wanted[start : start + AT_ONCE]).order_by()
        for pk, *labels in found.values_list(
            "pk", "release__channel__name", "release__system", "role"
        ):
            rows[pk] = tuple(labels)
    return rows


def monday(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())
