"""Arrivals: files that were built elsewhere, until a release is made of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q, Sum

from builds.choices import Origin, ReleaseStatus, Role, System, Variant
from builds.models.artifact import DIGEST
from builds.models.channel import Channel
from builds.models.release import Release

if TYPE_CHECKING:
    from builds.storage import Stored

ARRIVING = sorted(Origin.arriving())


class ArrivalQuerySet(models.QuerySet["Arrival"]):
    """Arrivals by what one wants of them."""

    def unfinished(self) -> ArrivalQuerySet:
        """Those of which no release has been made."""
        return self.filter(release=None)

    def by(self, who: str) -> ArrivalQuerySet:
        """Those that one person or program has declared."""
        return self.filter(who=who)

    def done(self, untouched_since: datetime) -> ArrivalQuerySet:
        """Those whose files nobody needs any more.

        Their release is published, or nobody has touched them since and no draft waits for them.
        """
        published = Q(release__status__in=ReleaseStatus.known_to_outside())
        in_the_making = Q(release__status=ReleaseStatus.DRAFT)
        return self.filter(published | Q(touched_at__lte=untouched_since) & ~in_the_making)

    def with_files(self) -> ArrivalQuerySet:
        """With channel, release and files, in a fixed number of queries."""
        return self.select_related("channel", "release__channel").prefetch_related("files")


class Arrival(models.Model):
    """What somebody has declared: files for one channel on one system, and what they are."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="arrivals")
    system = models.CharField(max_length=20, choices=System)
    origin = models.CharField(max_length=10, choices=Origin)
    source = models.CharField(max_length=300, blank=True, help_text="Where they were made.")
    version = models.CharField(max_length=100, help_text="What the release is to be called.")
    image_version = models.CharField(max_length=100, help_text="What the image calls itself.")
    revision = models.CharField(max_length=40, blank=True)
    kernel_version = models.CharField(max_length=100, blank=True)
    declared_memory = models.PositiveIntegerField(null=True, blank=True)
    who = models.CharField(max_length=200, help_text="Who declared it.")
    release = models.OneToOneField(
        Release, on_delete=models.CASCADE, null=True, blank=True, related_name="arrival"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(help_text="When something of it last came in.")

    objects = ArrivalQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="arrival_origin_is_elsewhere", condition=Q(origin__in=ARRIVING)
            ),
            models.CheckConstraint(
                name="arrival_system_is_known", condition=Q(system__in=sorted(System.values))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel.name} {self.version} {self.system}, {self.get_origin_display()}"

    def become(self, release: Release, *, at: datetime) -> None:
        """Note the draft that is made of it; nothing changes where one was made before."""
        mine = Arrival.objects.unfinished().filter(pk=self.pk)
        mine.update(release=release, touched_at=at)

    def touch(self, *, at: datetime) -> None:
        """Note that somebody still works on it."""
        Arrival.objects.filter(pk=self.pk).update(touched_at=at)

    def missing(self) -> list[str]:
        """The names of the files that are not whole yet."""
        return [file.name for file in self.files.all() if file.verified_at is None]

    def total_size(self) -> int:
        """The bytes of all its files together, as declared."""
        return sum(file.size for file in self.files.all())


class ArrivingFile(models.Model):
    """One file of an arrival: what was declared, and how much of it is here."""

    arrival = models.ForeignKey(Arrival, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=120)
    variant = models.CharField(max_length=40, choices=Variant)
    role = models.CharField(max_length=10, choices=Role)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(
        max_length=64,
        blank=True,
        validators=[RegexValidator(DIGEST)],
        help_text="As declared; of an adopted file what was found while storing it.",
    )
    received = models.PositiveBigIntegerField(default=0, help_text="Bytes, from the first on.")
    verified_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["arrival", "variant", "role", "name"]
        constraints = [
            models.UniqueConstraint(name="one_arriving_file_per_name", fields=["arrival", "name"]),
            models.CheckConstraint(
                name="arriving_file_is_not_overfull", condition=Q(received__lte=F("size"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.received} of {self.size} bytes"

    @property
    def is_whole(self) -> bool:
        """Whether all its bytes are here, right or wrong."""
        return self.received == self.size

    def take(self, part: ArrivedPart) -> bool:
        """Add a part that is stored; false where another came to this place before."""
        mine = ArrivingFile.objects.filter(pk=self.pk, received=part.start, verified_at=None)
        with transaction.atomic():
            taken = mine.update(received=part.start + part.size)
            if taken:
                part.save()
        if taken:
            self.received = part.start + part.size
        return bool(taken)

    def verify(self, stored: Stored, *, at: datetime) -> None:
        """Note that its bytes are what they should be, or, of an adopted file, what they are."""
        ArrivingFile.objects.filter(pk=self.pk, received=stored.size).update(
            sha256=stored.sha256, verified_at=at
        )
        self.refresh_from_db()

    def forget(self) -> list[str]:
        """Begin anew; the keys of the parts that nothing names any more."""
        with transaction.atomic():
            rows = self.parts.select_for_update()
            keys = [part.key for part in rows]
            rows.all().delete()
            ArrivingFile.objects.filter(pk=self.pk).update(received=0, verified_at=None)
        self.refresh_from_db()
        return keys


class ArrivedPartQuerySet(models.QuerySet["ArrivedPart"]):
    """Parts by what one wants of them."""

    def of(self, arrivals: Iterable[Arrival]) -> ArrivedPartQuerySet:
        """Those of the files of some arrivals."""
        return self.filter(file__arrival__in=arrivals)

    def total_size(self) -> int:
        """The bytes that they take in the storage."""
        return self.aggregate(n=Sum("size"))["n"] or 0


class ArrivedPart(models.Model):
    """Some bytes of a file in a row, stored under a key of their own."""

    file = models.ForeignKey(ArrivingFile, on_delete=models.CASCADE, related_name="parts")
    start = models.PositiveBigIntegerField(help_text="The place of its first byte in the file.")
    size = models.PositiveBigIntegerField()
    key = models.CharField(max_length=200, unique=True)

    objects = ArrivedPartQuerySet.as_manager()

    class Meta:
        ordering = ["file", "start"]
        constraints = [
            models.UniqueConstraint(name="one_part_per_place", fields=["file", "start"]),
            models.CheckConstraint(name="arrived_part_is_not_empty", condition=Q(size__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.size} bytes of {self.file.name} from {self.start}"
