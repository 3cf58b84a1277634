"""What programs ask for and are answered when they act: each shape written out once."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse
from ninja import Field, Schema
from pydantic import ConfigDict

from builds.choices import System, Variant
from builds.models import Build, Release

LONGEST_REASON = 500


class Asked(Schema):
    """What is asked for; a field of another name is a mistake, not a wish."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class TriggerWish(Asked):
    """Which releases to build."""

    channel: str = Field(examples=["demo"])
    system: System | None = Field(None, description="left out: every system of the channel")
    variant: Variant | None = Field(
        None, description="try this again in the newest release, which failed for want of it"
    )
    force: bool = Field(default=False, description="even where the revision has not moved")


class CancelWish(Asked):
    """Why a build is stopped."""

    reason: str = Field("", max_length=LONGEST_REASON, description="everybody can read it")


class WithdrawWish(Asked):
    """Why a release is taken back."""

    reason: str = Field(
        min_length=1, max_length=LONGEST_REASON, description="everybody can read it"
    )


class ActedBuild(Schema):
    """A build, as it stands after the act."""

    id: int
    variant: str = Field(examples=["netboot"])
    attempt: int = Field(examples=[1])
    status: str = Field(examples=["queued"])
    url: str = Field(description="the build in this API")
    page_url: str


class ActedRelease(Schema):
    """A release, as it stands after the act."""

    id: int
    channel: str = Field(examples=["demo"])
    system: str = Field(examples=["x86_64-linux"])
    version: str | None = Field(
        description="null until its source is pinned", examples=["26.05.20260820.b18a4b9"]
    )
    status: str = Field(examples=["draft"])
    trigger: str = Field(examples=["api"])
    forced: bool
    reason: str = Field(description="why it failed, was cancelled or withdrawn")
    created_at: datetime
    url: str = Field(description="where it can be followed, by its id")
    page_url: str
    builds: list[ActedBuild] = Field(description="the last attempt at each variant")


class TriggeredShape(Schema):
    """The releases in the making that were asked for, one for each system."""

    releases: list[ActedRelease]


def acted_release(release: Release, base: str) -> ActedRelease:
    """A release and its builds; all URLs begin with `base`."""
    return ActedRelease(
        id=release.pk,
        channel=release.channel.name,
        system=release.system,
        version=release.version,
        status=release.status,
        trigger=release.trigger,
        forced=release.forced,
        reason=release.reason,
        created_at=release.created_at.replace(microsecond=0),
        url=draft_url(release, base),
        page_url=f"{base}{release.get_absolute_url()}",
        builds=[acted_build(build, base) for build in release.builds.newest_per_variant()],
    )


def acted_build(build: Build, base: str) -> ActedBuild:
    """A build; all URLs begin with `base`."""
    return ActedBuild(
        id=build.pk,
        variant=build.variant,
        attempt=build.attempt,
        status=build.status,
        url=build_url(build, base),
        page_url=f"{base}{build.get_absolute_url()}",
    )


def draft_url(release: Release, base: str) -> str:
    """Where a release can be followed from its first moment on, whatever becomes of it."""
    return f"{base}{reverse('api:draft', args=[release.pk])}"


def build_url(build: Build, base: str) -> str:
    """Where a build can be asked for."""
    return f"{base}{reverse('api:api-root')}builds/{build.pk}/"


def release_url(release: Release, base: str) -> str:
    """Where a release that has a version can be asked for."""
    path = f"releases/{release.channel.name}/{release.version}/{release.system}/"
    return f"{base}{reverse('api:api-root')}{path}"
