"""The shapes of builds: a line of a list, and all that is known of one."""

from __future__ import annotations

from django.urls import reverse
from ninja import Field, Schema

from builds import logs
from builds.api.moments import Time
from builds.api.shapes import PORTAL
from builds.choices import BuildStatus, System, Variant
from builds.models import Build

BUILD = f"{PORTAL}/api/v1/builds/1203/"


class BuildShape(Schema):
    """One attempt at one variant of a release, in short."""

    id: int = Field(examples=[1203])
    channel: str = Field(examples=["demo"])
    system: System
    version: str | None = Field(
        description="of its release; null until that is pinned",
        examples=["26.05.20260820.b18a4b9"],
    )
    variant: Variant
    attempt: int = Field(examples=[1])
    status: BuildStatus = Field(examples=["succeeded"])
    stage: str = Field(
        description="evaluate, build or store: where it is, or was; empty before its start",
        examples=["store"],
    )
    percent: int = Field(
        description="of what Nix expects to build in all, so far", ge=0, le=100, examples=[100]
    )
    queued_at: Time
    started_at: Time | None
    finished_at: Time | None
    error: str = Field(description="why it failed, in a sentence", examples=[""])
    url: str = Field(examples=[BUILD])
    page_url: str = Field(examples=[f"{PORTAL}/builds/1203/"])
    log_url: str = Field(description="the log as plain text", examples=[f"{BUILD}log"])


class BuildDetailShape(BuildShape):
    """All that is known of a build."""

    release_url: str | None = Field(
        description="null until the release has a version",
        examples=[f"{PORTAL}/api/v1/releases/demo/26.05.20260820.b18a4b9/x86_64-linux/"],
    )
    events_url: str = Field(description="the log, live", examples=[f"{BUILD}events"])
    attribute: str = Field(examples=["packages.x86_64-linux.netboot"])
    stage_seconds: dict[str, float] = Field(
        description="how long each stage took", examples=[{"evaluate": 21.4, "build": 842.0}]
    )
    derivations_done: int = Field(examples=[29])
    derivations_expected: int = Field(examples=[29])
    bytes_done: int = Field(description="downloaded", examples=[0])
    bytes_expected: int = Field(examples=[0])
    derivation: str = Field(examples=["/nix/store/0c7kgpz0f7cqn9d5-netboot.drv"])
    store_path: str = Field(examples=["/nix/store/1d8kgpz0f7cqn9d5-netboot"])
    closure_size: int | None = Field(description="bytes", examples=[812345678])
    kernel_version: str = Field(examples=["6.12.57"])
    sandboxed: bool | None = Field(description="whether Nix isolated it")
    builder_version: str = Field(examples=["nix (Nix) 2.28.5"])
    error_kind: str = Field(examples=[""])
    excerpt: str = Field(description="the part of the log that shows why it failed", examples=[""])
    retry_at: Time | None = Field(description="not before this, after a failure", examples=[None])
    cancel_requested_at: Time | None = Field(examples=[None])


class BuildPage(Schema):
    """A page of builds, the newest first."""

    builds: list[BuildShape]
    next: str | None = Field(description="the next page; null on the last one", examples=[None])


def build_shape(build: Build, base: str) -> BuildShape:
    """One with its release and channel; all URLs begin with `base`."""
    release = build.release
    return BuildShape(
        id=build.pk,
        channel=release.channel.name,
        system=System(release.system),
        version=release.version,
        variant=Variant(build.variant),
        attempt=build.attempt,
        status=BuildStatus(build.status),
        stage=build.stage,
        percent=build.percent,
        queued_at=build.queued_at,
        started_at=build.started_at,
        finished_at=build.finished_at,
        error=build.error,
        url=f"{base}{reverse('api:build', args=[build.pk])}",
        page_url=f"{base}{build.get_absolute_url()}",
        log_url=f"{base}{reverse('api:log', args=[build.pk])}",
    )


def build_detail_shape(build: Build, release_url: str | None, base: str) -> BuildDetailShape:
    """One with its release and channel; all URLs begin with `base`."""
    return BuildDetailShape(
        **dict(build_shape(build, base)),
        release_url=release_url,
        events_url=f"{base}{reverse('api:events', args=[build.pk])}",
        attribute=build.attribute,
        stage_seconds=build.stage_seconds,
        derivations_done=build.derivations_done,
        derivations_expected=build.derivations_expected,
        bytes_done=build.bytes_done,
        bytes_expected=build.bytes_expected,
        derivation=build.derivation,
        store_path=build.store_path,
        closure_size=build.closure_size,
        kernel_version=build.kernel_version,
        sandboxed=build.sandboxed,
        builder_version=build.builder_version,
        error_kind=build.error_kind,
        excerpt=logs.plain(build.excerpt),
        retry_at=build.retry_at,
        cancel_requested_at=build.cancel_requested_at,
    )
