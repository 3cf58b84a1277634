"""The shapes of releases: a line of a list, and all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.urls import reverse
from ninja import Field, Schema

from builds import logs
from builds.api.build_shapes import BuildShape, build_shape
from builds.api.moments import Time
from builds.api.shapes import (
    FOLDER,
    PORTAL,
    CheckShape,
    OriginShape,
    check_shape,
    document_url,
    signature_urls,
)
from builds.boot.addresses import immutable_url, paper_url
from builds.boot.commands import boot_commands
from builds.choices import ReleaseStatus, System, TransferKind, Trigger
from builds.models import Artifact, Build, Check, Damage, Release, Transfer
from builds.models.release_queries import IS_LATEST, TOTAL_SIZE
from builds.pipeline import documents, naming, source_url
from builds.pipeline.canonical import public_ref

RECORD = f"{PORTAL}/api/v1/releases/demo/26.05.20260820.b18a4b9/x86_64-linux/"


def _signed(name: str) -> dict[str, str]:
    """An example: where a paper's signatures are."""
    place = f"{FOLDER}/26.05.20260820.b18a4b9/{name}"
    return {"ssh": f"{place}.sig", "minisign": f"{place}.minisig"}


class ReleaseShape(Schema):
    """One release in short, whatever became of it."""

    id: int = Field(examples=[47])
    channel: str = Field(examples=["demo"])
    system: System
    version: str | None = Field(
        description="null until its source is pinned", examples=["26.05.20260820.b18a4b9"]
    )
    sequence: int | None = Field(
        description="its number within channel and system, once it is published", examples=[47]
    )
    status: ReleaseStatus = Field(examples=["published"])
    is_latest: bool = Field(examples=[True])
    trigger: Trigger
    revision: str = Field(
        description="40 hex digits; empty until the source is pinned",
        examples=["b18a4b9cd22a1ff3ef9b76ef5e0ce87b4a8e2a5b"],
    )
    reason: str = Field(description="why it failed, was cancelled or withdrawn", examples=[""])
    size: int = Field(description="bytes of all its artifacts", examples=[431234567])
    created_at: Time
    published_at: Time | None
    finished_at: Time | None = Field(
        description="when it was published, failed, was cancelled or withdrawn"
    )
    expired_at: Time | None = Field(
        description="since when its files are not given out, its time being over", examples=[None]
    )
    url: str | None = Field(
        description="all that is known of it; null until it has a version", examples=[RECORD]
    )
    page_url: str = Field(examples=[f"{PORTAL}/releases/demo/26.05.20260820.b18a4b9/x86_64-linux/"])


class FileShape(Schema):
    """One file of a release; `immutable_url` is null where its bytes can't be read (any more)."""

    name: str = Field(examples=["initrd-x86_64-linux"])
    variant: str = Field(examples=["netboot"])
    role: str = Field(examples=["initrd"])
    size: int = Field(description="bytes", examples=[312345678])
    sha256: str = Field(
        description="64 hex digits",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    immutable_url: str | None = Field(
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/initrd-x86_64-linux"]
    )
    damage: str = Field(description="what is wrong with the stored bytes", examples=[""])


class TriedShape(CheckShape):
    """One check of a release, with what it found in a sentence."""

    reason: str = Field(examples=["It came up."])
    gates: bool = Field(description="whether it is published only where this has passed")


class TransferShape(Schema):
    """How a release came here that another portal built, checked and published."""

    kind: TransferKind = Field(
        description="followed, over the network; imported, from a file", examples=["followed"]
    )
    source: str = Field(
        description="the portal it was read from, or the name of the file",
        examples=["https://first.example.org"],
    )
    signer: str = Field(
        description="whose signature was verified then; empty: only digests were",
        examples=["release@first.example.org"],
    )
    taken_at: Time = Field(description="when it was published here")


class ReleaseDetailShape(ReleaseShape):
    """All that is known of a release."""

    origin: OriginShape
    transfer: TransferShape | None = Field(
        description="the portal that it came from; null where it was published here first"
    )
    flake: str = Field(examples=["github:example/images/b18a4b9"])
    inputs: dict[str, str] = Field(
        description="inputs of the flake that were replaced, and by what", examples=[{}]
    )
    source_url: str = Field(examples=["https://github.com/example/images/commit/b18a4b9"])
    nar_hash: str = Field(examples=["sha256-0c7kgpz0f7cqn9d5"])
    image_version: str = Field(
        description="what the image calls itself", examples=["26.05.20260820.b18a4b9"]
    )
    forced: bool
    sandboxed: bool | None = Field(description="whether Nix isolated every build of it")
    excerpt: str = Field(description="the part of the log that shows why it failed", examples=[""])
    manifest_url: str | None = Field(
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/release-x86_64-linux.json"]
    )
    sums_url: str | None = Field(
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/SHA256SUMS-x86_64-linux"]
    )
    signatures: dict[str, str] = Field(
        description="URLs of signatures of the sums by kind, ssh and minisign; those that it has",
        examples=[_signed("SHA256SUMS-x86_64-linux")],
    )
    manifest_signatures: dict[str, str] = Field(
        description="the same of the manifest", examples=[_signed("release-x86_64-linux.json")]
    )
    provenance_url: str | None = Field(
        description="a DSSE envelope with SLSA provenance; null where there is none",
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/provenance-x86_64-linux.intoto.jsonl"],
    )
    sbom_url: str | None = Field(
        description="CycloneDX; null where there is none",
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/sbom-x86_64-linux.cdx.json"],
    )
    successor_url: str | None = Field(
        description="the latest of its channel and system, where that is another", examples=[None]
    )
    checks: list[TriedShape]
    artifacts: list[FileShape]
    builds: list[BuildShape]
    commands: dict[str, str] = Field(
        description="lines to copy that boot this very release, by method; none where it can't be",
        examples=[{"ipxe": f"chain --autofree {FOLDER}/netboot-x86_64-linux.ipxe"}],
    )
    least_memory_mib: dict[str, int] = Field(examples=[{"initrd-x86_64-linux": 1024}])


class ReleasePage(Schema):
    """A page of releases, the newest first."""

    releases: list[ReleaseShape]
    next: str | None = Field(description="the next page; null on the last one", examples=[None])


def release_shape(release: Release, base: str) -> ReleaseShape:
    """One of `for_lists()`; all URLs begin with `base`."""
    return ReleaseShape(
        id=release.pk,
        channel=release.channel.name,
        system=System(release.system),
        version=release.version,
        sequence=release.sequence,
        status=ReleaseStatus(release.status),
        is_latest=getattr(release, IS_LATEST),
        trigger=Trigger(release.trigger),
        revision=release.revision,
        reason=release.reason,
        size=getattr(release, TOTAL_SIZE),
        created_at=release.created_at,
        published_at=release.published_at,
        finished_at=release.finished_at,
        expired_at=release.expired_at,
        url=release_url(release, base),
        page_url=f"{base}{release.get_absolute_url()}",
    )


def release_detail_shape(
    release: Release, successor: Release | None, damages: Iterable[Damage], base: str
) -> ReleaseDetailShape:
    """One of `for_lists().with_files()`; all URLs begin with `base`."""
    is_readable = release.is_published
    wrong = {damage.name: damage.what for damage in damages}
    commands = boot_commands(release, base, pinned=True) if is_readable else []
    builds = sorted(release.builds.all(), key=lambda build: (build.variant, build.attempt))
    return ReleaseDetailShape(
        **dict(release_shape(release, base)),
        origin=OriginShape(kind=release.origin, source=release.source),
        transfer=_transfer(release),
        flake=public_ref(release.flake),
        inputs={name: public_ref(ref) for name, ref in release.overrides.items()},
        source_url=source_url(release),
        nar_hash=release.nar_hash,
        image_version=release.image_version,
        forced=release.forced,
        sandboxed=release.sandboxed,
        excerpt=logs.plain(release.excerpt),
        manifest_url=_paper(release, naming.manifest_name(release.system), base),
        sums_url=_paper(release, naming.sums_name(release.system), base),
        signatures=_signatures(release, naming.sums_name(release.system), base),
        manifest_signatures=_signatures(release, naming.manifest_name(release.system), base),
        provenance_url=document_url(release, naming.provenance_name(release.system), base),
        sbom_url=document_url(release, naming.sbom_name(release.system), base),
        successor_url=release_url(successor, base) if successor else None,
        checks=[_tried(check) for check in release.checks.all()],
        artifacts=[_file(artifact, release, wrong, base) for artifact in release.artifacts.all()],
        builds=[_build(build, release, base) for build in builds],
        commands={command.method: command.text for command in commands},
        least_memory_mib=documents.least_memory(release),
    )


def release_url(release: Release, base: str) -> str | None:
    """Where a release can be asked for; None until it has a version."""
    if release.version is None:
        return None
    place = [release.channel.name, release.version, release.system]
    return f"{base}{reverse('api:release', args=place)}"


def changed_at(release: Release, damages: Iterable[Damage], moved_at: datetime) -> datetime | None:
    """When what is said of a release last changed; None where it may be tried again.

    `moved_at` is when the head of its channel and system moved last.
    """
    if release.status not in ReleaseStatus.known_to_outside():
        return None
    times = [release.published_at, release.finished_at, release.expired_at, moved_at]
    times += [check.finished_at for check in release.checks.all()]
    times += [build.finished_at for build in release.builds.all()]
    times += [at for damage in damages for at in (damage.found_at, damage.mended_at)]
    return max(at for at in times if at is not None)


def _paper(release: Release, name: str, base: str) -> str | None:
    return paper_url(base, release, name) if release.is_published else None


def _signatures(release: Release, name: str, base: str) -> dict[str, str]:
    return signature_urls(release, name, base) if release.is_published else {}


def _transfer(release: Release) -> TransferShape | None:
    transfer: Transfer | None = getattr(release, "transfer", None)
    if transfer is None:
        return None
    return TransferShape(
        kind=TransferKind(transfer.kind),
        source=transfer.source,
        signer=transfer.signer,
        taken_at=transfer.taken_at,
    )


def _tried(check: Check) -> TriedShape:
    return TriedShape(**dict(check_shape(check)), reason=check.reason, gates=check.gates)


def _file(artifact: Artifact, release: Release, wrong: dict[str, str], base: str) -> FileShape:
    damage = wrong.get(artifact.name, "") if release.is_published else ""
    artifact.release = release
    return FileShape(
        name=artifact.name,
        variant=artifact.variant,
        role=artifact.role,
        size=artifact.size,
        sha256=artifact.sha256,
        immutable_url=immutable_url(base, artifact)
        if release.is_published and not damage
        else None,
        damage=damage,
    )


def _build(build: Build, release: Release, base: str) -> BuildShape:
    build.release = release
    return build_shape(build, base)
