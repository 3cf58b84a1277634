"""Artifacts: the downloadable files of releases."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.apps import apps
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from builds.choices import ReleaseStatus, Role, Variant
from builds.models.build import Build
from builds.models.release import Release

READ_NOTED_EVERY = timedelta(hours=1)
DIGEST = r"\A[0-9a-f]{64}\Z"


class ArtifactQuerySet(models.QuerySet["Artifact"]):
    """Artifacts by what one wants of them."""

    def with_downloads(self) -> ArtifactQuerySet:
        """Each with `download_count`: how often it was fetched."""
        counts = apps.get_model("builds", "DownloadCount").objects.filter(artifact=OuterRef("pk"))
        sums = counts.order_by().values("artifact").annotate(n=Sum("count")).values("n")
        return self.annotate(download_count=Coalesce(Subquery(sums), 0))

    def readable(self) -> ArtifactQuerySet:
        """Those of releases that were published once, with release and channel."""
        # By the joined row: a subquery would first list every release that there ever was.
        known = self.filter(release__status__in=ReleaseStatus.known_to_outside())
        return known.select_related("release", "release__channel")

    def at_head(self, channel: str, name: str) -> Artifact | None:
        """The artifact of this name in the channel's present releases."""
        return self.readable().filter(release__heads__channel__name=channel, name=name).first()

    def in_folder(self, channel: str, version: str, name: str) -> Artifact | None:
        """The artifact of this name in the folder that releases of one version share."""
        return (
            self.readable()
            .filter(release__channel__name=channel, release__version=version, name=name)
            .first()
        )

    def others_of_its_name(self, artifact: Artifact, most: int) -> ArtifactQuerySet:
        """What else was published under its name, with other bytes; the newest of them first."""
        release = artifact.release
        named = self.readable().filter(
            release__channel=release.channel_id, release__system=release.system, name=artifact.name
        )
        others = named.exclude(sha256=artifact.sha256)
        return others.order_by("-release__published_at", "-pk")[:most]

    def names_in(self, channel: str, version: str = "") -> list[str]:
        """The names of the files of a version that may be read; of the present releases for ""."""
        readable = self.filter(release__status=ReleaseStatus.PUBLISHED)
        if version:
            held = readable.filter(release__channel__name=channel, release__version=version)
        else:
            held = readable.filter(release__heads__channel__name=channel)
        return list(held.order_by("name").values_list("name", flat=True))

    def without_pieces(self) -> ArtifactQuerySet:
        """Those that may be read and were not hashed in pieces yet, the newest first."""
        waiting = self.filter(release__in=Release.objects.published(), pieces=None)
        known = apps.get_model("builds", "Damage").objects.unmended()
        damaged = known.filter(release=OuterRef("release"), name=OuterRef("name"))
        waiting = waiting.filter(~Exists(damaged)).select_related("release__channel")
        return waiting.order_by("-release__published_at", "-pk")

    def sizes(self, releases: Collection[int], variant: str) -> ArtifactQuerySet:
        """Those of these releases, of one variant or of all, as far as their size tells."""
        found = self.filter(release__in=releases).exclude(role=Role.IPXE)
        found = found.filter(variant=variant) if variant else found
        return found.order_by().only("name", "size", "release")

    def with_times(
        self, channel: str, version: str | None, name: str
    ) -> list[tuple[datetime, int]]:
        """When each file of this name was published, and its primary key, the oldest first."""
        named = self.readable().filter(release__channel__name=channel, name=name)
        if version is not None:
            named = named.filter(release__version=version)
        times = named.order_by("release__published_at", "pk")
        return [(at, pk) for at, pk in times.values_list("release__published_at", "pk") if at]


class Artifact(models.Model):
    """One downloadable file of a release."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="artifacts")
    build = models.ForeignKey(
        Build, on_delete=models.SET_NULL, null=True, blank=True, related_name="artifacts"
    )
    variant = models.CharField(max_length=40, choices=Variant)
    role = models.CharField(max_length=10, choices=Role)
    name = models.CharField(max_length=120)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64, validators=[RegexValidator(DIGEST)])
    least_memory = models.PositiveIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="The fewest MiB of RAM with which it was seen to boot.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_read_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="To the hour; retention waits for it."
    )

    objects = ArtifactQuerySet.as_manager()

    class Meta:
        ordering = ["release", "variant", "role", "name"]
        indexes = [models.Index(fields=["name"])]
        constraints = [
            models.UniqueConstraint(name="one_artifact_per_name", fields=["release", "name"]),
            models.CheckConstraint(name="artifact_is_not_empty", condition=Q(size__gt=0)),
            models.CheckConstraint(
                name="artifact_digest_is_sha256", condition=Q(sha256__regex=DIGEST)
            ),
            models.CheckConstraint(
                name="artifact_role_is_known", condition=Q(role__in=sorted(Role.values))
            ),
            models.CheckConstraint(
                name="artifact_variant_is_known",
                condition=Q(variant__in=sorted(Variant.values)),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        """Where it lies in the storage, which is also its immutable URL's path."""
        return self.release.key(self.name)

    def note_read(self, *, at: datetime) -> None:
        """Note that somebody has read it; writes at most once an hour."""
        if self.last_read_at is None or self.last_read_at <= at - READ_NOTED_EVERY:
            Artifact.objects.filter(pk=self.pk).update(last_read_at=at)
            self.last_read_at = at
