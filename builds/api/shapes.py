"""The shapes of the API, each written out once."""

from __future__ import annotations

from datetime import datetime

from ninja import Field, Schema

from builds.boot.addresses import immutable_url, moving_url, paper_url
from builds.boot.commands import boot_commands
from builds.models import Artifact, Check, Release
from builds.pipeline import documents


class CheckShape(Schema):
    """One recorded verdict."""

    name: str = Field(examples=["boot-netboot-direct"])
    verdict: str = Field(examples=["passed"])
    seconds: float | None = Field(examples=[8.2])
    accelerator: str = Field(description="kvm, or tcg where it was emulated", examples=["tcg"])


class ArtifactShape(Schema):
    """One file: where it is now, and where it will always be."""

    name: str = Field(examples=["initrd-x86_64-linux"])
    variant: str = Field(examples=["netboot"])
    role: str = Field(examples=["initrd"])
    size: int = Field(description="bytes", examples=[312345678])
    sha256: str = Field(description="64 hex digits, of what immutable_url gives")
    url: str = Field(description="the latest file of this name; it moves with each release")
    immutable_url: str = Field(description="this very file, for good")


class LatestShape(Schema):
    """The latest release of a channel on a system, in one record."""

    channel: str = Field(examples=["demo"])
    system: str = Field(examples=["x86_64-linux"])
    version: str = Field(examples=["26.05.20260820.b18a4b9"])
    sequence: int = Field(examples=[47])
    revision: str = Field(description="40 hex digits")
    published_at: datetime
    release_url: str
    manifest_url: str
    sums_url: str
    signatures: dict[str, str] = Field(
        description="URLs of signatures of the sums by kind; empty where it was published "
        "before releases were signed"
    )
    checks: list[CheckShape]
    artifacts: list[ArtifactShape]
    commands: dict[str, str] = Field(description="lines to copy, by method")
    least_memory_mib: dict[str, int] = Field(
        description="the fewest MiB of RAM with which a file was seen to boot, by its name; of "
        "those that were measured",
        examples=[{"initrd-x86_64-linux": 1024}],
    )


class ProblemShape(Schema):
    """An error, as RFC 9457 describes problems."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def latest_shape(release: Release, base: str) -> LatestShape:
    """The record of a channel's latest release; all URLs begin with `base`."""
    assert release.version is not None, "a published release has a version"
    assert release.sequence is not None, "a published release is numbered"
    assert release.published_at is not None, "a published release says when"
    return LatestShape(
        channel=release.channel.name,
        system=release.system,
        version=release.version,
        sequence=release.sequence,
        revision=release.revision,
        published_at=release.published_at.replace(microsecond=0),
        release_url=f"{base}{release.get_absolute_url()}",
        manifest_url=paper_url(base, release, documents.manifest_name(release.system)),
        sums_url=paper_url(base, release, documents.sums_name(release.system)),
        signatures=_signatures(release, base),
        checks=[
            _check_shape(check)
            for check in release.checks.all()
            if check.gates or check.was_made_later
        ],
        artifacts=[
            _artifact_shape(artifact, release, base) for artifact in release.artifacts.all()
        ],
        least_memory_mib=documents.least_memory(release),
        commands={command.method: command.text for command in boot_commands(release, base)},
    )


def _signatures(release: Release, base: str) -> dict[str, str]:
    if not release.signed_by:
        return {}
    names = documents.signature_names(documents.sums_name(release.system))
    return {
        kind: paper_url(base, release, name)
        for kind, name in zip(("ssh", "minisign"), names, strict=True)
    }


def _check_shape(check: Check) -> CheckShape:
    return CheckShape(
        name=check.name,
        verdict=check.verdict,
        seconds=check.seconds,
        accelerator=check.accelerator,
    )


def _artifact_shape(artifact: Artifact, release: Release, base: str) -> ArtifactShape:
    return ArtifactShape(
        name=artifact.name,
        variant=artifact.variant,
        role=artifact.role,
        size=artifact.size,
        sha256=artifact.sha256,
        url=moving_url(base, release.channel.name, artifact.name),
        immutable_url=immutable_url(base, artifact),
    )
