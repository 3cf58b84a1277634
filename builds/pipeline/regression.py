"""Since when a channel is red, and what changed between the last good release and the first bad."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from builds.choices import BuildStatus, ReleaseStatus
from builds.models import Build, Release, Target
from builds.models.release_queries import ReleaseQuerySet

_EVER = Value(datetime.min.replace(year=2, tzinfo=UTC))
_GITHUB = re.compile(r"github:(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(?:[/?]|\Z)")


@dataclass(frozen=True, slots=True)
class Regression:
    """The first red release since the last green one.

    `build` is the build that broke it, None where its evaluation or a check did; `old` and `new`
    are revisions, "" where they are not known; `compare_url` shows what lies between them.
    """

    first: Release
    green: Release | None
    build: Build | None
    old: str
    new: str
    compare_url: str

    @property
    def since(self) -> datetime:
        """When it became red."""
        return self.first.finished_at or self.first.created_at

    @property
    def has_moved(self) -> bool:
        """Whether the source changed at all between green and red."""
        return bool(self.old and self.new and self.old != self.new)


def regression(release: Release) -> Regression | None:
    """When what a failed release shows began; None where the release did not fail."""
    if release.status != ReleaseStatus.FAILED:
        return None
    same = Release.objects.of(release.channel, release.system).select_related("channel")
    earlier = Q(created_at__lt=release.created_at) | Q(pk=release.pk)
    green = same.known_to_outside().filter(earlier).order_by("-published_at").first()
    bad = same.failed().filter(earlier).prefetch_related("builds")
    if green is not None:
        bad = bad.filter(created_at__gt=green.created_at)
    return compared(bad.first() or release, green)


def reds() -> ReleaseQuerySet:
    """The failed releases since the last good one of each pair that is built, oldest first."""
    good = Release.objects.known_to_outside().filter(
        channel=OuterRef("channel"), system=OuterRef("system"), published_at__isnull=False
    )
    newest = good.order_by("-published_at").values("created_at")[:1]
    # From the few pairs that are built to what came after their last good one: all others that
    # ever failed are not looked at.
    pairs = Target.objects.order_by().annotate(green_at=Coalesce(Subquery(newest), _EVER))
    red = pairs.filter(
        channel__releases__system=F("system"),
        channel__releases__status=ReleaseStatus.FAILED,
        channel__releases__created_at__gt=F("green_at"),
    )
    found = Release.objects.failed().filter(pk__in=red.values("channel__releases"))
    return found.select_related("channel")


def first_reds(found: Iterable[Release] | None = None) -> dict[tuple[int, str], Regression]:
    """The first failed release since a good one, by the channel's key and the system.

    `found` are all reds with their builds, where they have been read already.
    """
    first: dict[tuple[int, str], Regression] = {}
    for release in reds().prefetch_related("builds") if found is None else found:
        first.setdefault((release.channel_id, release.system), compared(release, None))
    return first


def compared(first: Release, green: Release | None) -> Regression:
    """What is known of a first red release and the green one before it (prefetch the builds)."""
    old, new = (green.revision if green else ""), first.revision
    broken = (build for build in first.builds.all() if build.status == BuildStatus.FAILED)
    return Regression(
        first=first,
        green=green,
        build=min(broken, key=lambda build: build.pk, default=None),
        old=old,
        new=new,
        compare_url=compare_url(first, old, new),
    )


def source_url(release: Release) -> str:
    """Where the revision that a release was built of can be read; "" where that is not known."""
    found = _GITHUB.match(_followed(release))
    if not found or not release.revision:
        return ""
    return f"https://github.com/{found['owner']}/{found['name']}/commit/{release.revision}"


def compare_url(release: Release, old: str, new: str) -> str:
    """Where the commits between two revisions can be read; "" where that is not known."""
    found = _GITHUB.match(_followed(release))
    if not found or not old or not new or old == new:
        return ""
    return f"https://github.com/{found['owner']}/{found['name']}/compare/{old}...{new}"


def _followed(release: Release) -> str:
    """The flake ref whose revision a release has."""
    followed = release.channel.revision_input
    return str(release.overrides.get(followed, "") if followed else release.flake)
