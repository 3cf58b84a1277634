"""Mirrors: copies of the storage elsewhere, and what the last look at each has found."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from builds import outward
from builds.choices import MirrorState, System
from builds.models.artifact import Artifact
from builds.models.channel import Channel
from builds.models.head import Head
from builds.models.lease import Leased, is_free, lease_end
from builds.models.release import Release

CHECK_EVERY = timedelta(hours=1)
HASH_EVERY = timedelta(days=1)
# What was seen longer ago is not offered: the mirror may have changed since.
KNOWN_FOR = timedelta(hours=6)

_COUNTRY = RegexValidator(r"\A[A-Z]{2}\Z", "Two capital letters, as ISO 3166 has them: DE.")


class MirrorQuerySet(models.QuerySet["Mirror"]):
    """Mirrors by what one wants of them."""

    def enabled(self) -> MirrorQuerySet:
        """Those that are checked and may be offered."""
        return self.filter(is_enabled=True)

    def due(self, at: datetime) -> MirrorQuerySet:
        """Those whose last check is an hour old, the one that waits longest first."""
        late = Q(checked_at=None) | Q(checked_at__lte=at - CHECK_EVERY)
        return self.enabled().filter(late).order_by(F("checked_at").asc(nulls_first=True), "pk")

    def offering(self, release: Release, *, at: datetime | None = None) -> MirrorQuerySet:
        """Those from which a release may be fetched: all of it is there, and right.

        Also the latest of its channel and system was there at the last check, which was lately,
        and no file of the mirror is known to be wrong.
        """
        since = (at or timezone.now()) - KNOWN_FOR
        lately = Q(mirror=OuterRef("pk"), checked_at__gte=since)
        right = MirrorCopy.objects.filter(lately, is_right=True)
        heads = Head.objects.filter(channel=release.channel_id, system=release.system)
        return self.enabled().filter(
            Exists(right.filter(release=release, release__status="published")),
            Exists(right.filter(release__in=heads.values("release"))),
            ~Exists(MirrorCopy.objects.filter(mirror=OuterRef("pk"), is_right=False)),
            Exists(
                MirrorHead.objects.filter(
                    lately, channel=release.channel_id, system=release.system, behind=0
                )
            ),
        )


class Mirror(Leased):
    """A copy of the storage behind a URL; its lease is held by who checks it right now."""

    url = models.CharField(
        max_length=1000, unique=True, help_text="What stands before /releases/download/ there."
    )
    title = models.CharField(max_length=120, help_text="Who runs it.")
    country = models.CharField(
        max_length=2, blank=True, validators=[_COUNTRY], help_text="Two letters: DE."
    )
    place = models.CharField(max_length=120, blank=True, help_text="The town, for example.")
    is_enabled = models.BooleanField(default=True, help_text="Checked, and offered while right.")
    created_at = models.DateTimeField(auto_now_add=True)

    state = models.CharField(
        max_length=10, choices=MirrorState, default=MirrorState.UNCHECKED, editable=False
    )
    note = models.TextField(blank=True, editable=False, help_text="What is wrong, in sentences.")
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    good_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was last up to date and right."
    )
    seconds = models.FloatField(
        null=True, blank=True, editable=False, help_text="How long its first answer took."
    )
    hashed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a file of it was last hashed whole."
    )
    hashed_up_to = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="The artifact that was; the next one is its turn."
    )

    objects = MirrorQuerySet.as_manager()

    class Meta:
        ordering = ["country", "title", "pk"]
        constraints = [
            models.CheckConstraint(
                name="mirror_state_is_known", condition=Q(state__in=sorted(MirrorState.values))
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        """Refuse what can't be asked; the URL is kept without a slash at its end."""
        self.url = self.url.rstrip("/")
        try:
            place = outward.check_url(self.url, settings.MIRROR_NETWORKS)
        except outward.Refused as error:
            raise ValidationError({"url": str(error)}) from None
        if "?" in place.target:
            raise ValidationError({"url": "wants no query"})

    @property
    def where(self) -> str:
        """Its place in a few words; "" where nobody told."""
        return ", ".join(filter(None, (self.place, self.country)))

    def url_of(self, key: str) -> str:
        """Where it has the file of a key of the storage."""
        return f"{self.url}/{key}"

    def hold(self, worker: str) -> bool:
        """Take it to check it; false where somebody else is at it."""
        return self.take(worker, is_free())

    def beat(self) -> None:
        """Say that the checker is alive; raises LeaseLost where it is no longer ours."""
        self.write(Q(), lease_until=lease_end())

    def note_checked(
        self, state: MirrorState, note: str, *, at: datetime, seconds: float | None
    ) -> None:
        """Note what a check has found."""
        good = {"good_at": at} if state == MirrorState.FRESH else {}
        self.write(Q(), state=state, note=note, checked_at=at, seconds=seconds, **good)
        self.refresh_from_db()

    def note_hashed(self, artifact: Artifact, *, at: datetime) -> None:
        """Note that it was this file's turn to be hashed."""
        self.write(Q(), hashed_up_to=artifact.pk, hashed_at=at)
        self.hashed_up_to, self.hashed_at = artifact.pk, at

    def next_to_hash(self, most: int, *, at: datetime) -> Artifact | None:
        """The file whose turn it is, of at most so many bytes; None where one was hashed today."""
        if self.hashed_at is not None and self.hashed_at > at - HASH_EVERY:
            return None
        there = self.copies.filter(is_right=True).values("release")
        files = Artifact.objects.filter(release__in=there, size__lte=most)
        files = files.select_related("release__channel").order_by("pk")
        return files.filter(pk__gt=self.hashed_up_to).first() or files.first()


class MirrorHead(models.Model):
    """What a mirror calls the latest of a channel and system, and how far that is behind."""

    mirror = models.ForeignKey(Mirror, on_delete=models.CASCADE, related_name="heads")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="+")
    system = models.CharField(max_length=20, choices=System)
    version = models.CharField(max_length=110, blank=True, help_text="Empty: it has none.")
    behind = models.PositiveIntegerField(
        null=True, help_text="How many releases it lacks up to ours; empty: not known."
    )
    behind_since = models.DateTimeField(
        null=True, help_text="When the first that it lacks was published."
    )
    is_wrong = models.BooleanField(default=False, help_text="It tells of no release of ours.")
    is_silent = models.BooleanField(default=False, help_text="It could not be read.")
    note = models.TextField(blank=True, help_text="What is wrong, in a sentence.")
    checked_at = models.DateTimeField()

    class Meta:
        ordering = ["channel__position", "channel__name", "system"]
        constraints = [
            models.UniqueConstraint(
                name="one_head_per_mirror_channel_and_system",
                fields=["mirror", "channel", "system"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mirror}: {self.channel} {self.system} {self.version}"

    def begin(self, *, at: datetime) -> None:
        """Forget what was seen before; the instance is saved by who looks."""
        self.version = self.note = ""
        self.behind = self.behind_since = None
        self.is_wrong = self.is_silent = False
        self.checked_at = at


class MirrorCopy(models.Model):
    """A release as a mirror has it: papers by their digests, files by their sizes, some hashed."""

    mirror = models.ForeignKey(Mirror, on_delete=models.CASCADE, related_name="copies")
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="copies")
    is_right = models.BooleanField()
    note = models.TextField(blank=True, help_text="What is wrong, in a sentence.")
    file = models.CharField(
        max_length=120, blank=True, help_text="The file whose bytes are wrong; hashed again first."
    )
    checked_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "mirror copies"
        constraints = [
            models.UniqueConstraint(name="one_copy_per_mirror", fields=["mirror", "release"]),
        ]

    def __str__(self) -> str:
        return f"{self.release} on {self.mirror}"
