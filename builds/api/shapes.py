"""The shapes of the API, each written out once."""

from __future__ import annotations

from datetime import datetime

from ninja import Field, Schema

from builds.api.moments import Time
from builds.boot.addresses import immutable_url, moving_url, paper_url
from builds.boot.commands import boot_commands
from builds.models import Artifact, Check, HeadMove, Release
from builds.pipeline import documents, naming

PORTAL = "https://images.example.org"
FOLDER = f"{PORTAL}/releases/download/demo"


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
    sha256: str = Field(
        description="64 hex digits, of what immutable_url gives",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    url: str = Field(
        description="the latest file of this name; it moves with each release",
        examples=[f"{FOLDER}/initrd-x86_64-linux"],
    )
    immutable_url: str = Field(
        description="this very file, for good",
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/initrd-x86_64-linux"],
    )


class OriginShape(Schema):
    """Where a release was made."""

    kind: str = Field(
        description="built, here; hydra, fetched from a Hydra that built it; adopted and uploaded, "
        "built by somebody else",
        examples=["built"],
    )
    source: str = Field(
        description="what is known of where it was made, if not here: often a URL",
        examples=["https://hydra.nixos.org/eval/1821001"],
    )


class LatestShape(Schema):
    """The latest release of a channel on a system, in one record."""

    channel: str = Field(examples=["demo"])
    system: str = Field(examples=["x86_64-linux"])
    version: str = Field(examples=["26.05.20260820.b18a4b9"])
    sequence: int = Field(examples=[47])
    revision: str = Field(
        description="40 hex digits", examples=["b18a4b9cd22a1ff3ef9b76ef5e0ce87b4a8e2a5b"]
    )
    published_at: Time
    origin: OriginShape
    release_url: str = Field(
        examples=[f"{PORTAL}/releases/demo/26.05.20260820.b18a4b9/x86_64-linux/"]
    )
    manifest_url: str = Field(
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/release-x86_64-linux.json"]
    )
    sums_url: str = Field(examples=[f"{FOLDER}/26.05.20260820.b18a4b9/SHA256SUMS-x86_64-linux"])
    provenance_url: str | None = Field(
        description="a DSSE envelope with SLSA provenance; null where there is none",
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/provenance-x86_64-linux.intoto.jsonl"],
    )
    sbom_url: str | None = Field(
        description="CycloneDX; null where there is none",
        examples=[f"{FOLDER}/26.05.20260820.b18a4b9/sbom-x86_64-linux.cdx.json"],
    )
    signatures: dict[str, str] = Field(
        description="URLs of signatures of the sums by kind, ssh and minisign; empty "
        "where nobody signed it; of another portal's release those that it came with",
        examples=[
            {
                "ssh": f"{FOLDER}/26.05.20260820.b18a4b9/SHA256SUMS-x86_64-linux.sig",
                "minisign": f"{FOLDER}/26.05.20260820.b18a4b9/SHA256SUMS-x86_64-linux.minisig",
            }
        ],
    )
    checks: list[CheckShape]
    artifacts: list[ArtifactShape]
    commands: dict[str, str] = Field(
        description="lines to copy, by method",
        examples=[{"ipxe": f"chain --autofree {FOLDER}/netboot-x86_64-linux.ipxe"}],
    )
    least_memory_mib: dict[str, int] = Field(
        description="the fewest MiB of RAM with which a file was seen to boot, by its name; of "
        "those that were measured",
        examples=[{"initrd-x86_64-linux": 1024}],
    )


class ThenShape(Schema):
    """When a release was the latest, and how it stands now."""

    at: Time = Field(description="the time that was asked for")
    latest_from: Time
    latest_until: Time | None = Field(description="null: it is the latest to this day")
    status: str = Field(
        description="how it stands now: published; or withdrawn or expired, and then its files "
        "answer 410 and there are no commands",
        examples=["published"],
    )
    reason: str = Field(description="why it was withdrawn", examples=[""])


class LatestThenShape(LatestShape):
    """The same record of the release that was the latest at a time; each `url` is immutable."""

    then: ThenShape


class ErrorShape(Schema):
    """One thing that is wrong with a request, and where: in a parameter, or in the body."""

    detail: str
    parameter: str = Field("", description="the name of a parameter of the address")
    pointer: str = Field("", description="a JSON pointer into the body")


class ProblemShape(Schema):
    """An error, as RFC 9457 describes problems; some have further members."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="what is wrong, and what to do instead")
    instance: str = Field("", description="the path that was asked for")
    errors: list[ErrorShape] = Field([], description="of a request that is not valid")
    request_id: str = Field("", description="of 500: what the portal's log has it under")


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
        published_at=release.published_at,
        origin=OriginShape(kind=release.origin, source=release.source),
        release_url=f"{base}{release.get_absolute_url()}",
        manifest_url=paper_url(base, release, naming.manifest_name(release.system)),
        sums_url=paper_url(base, release, naming.sums_name(release.system)),
        signatures=signature_urls(release, naming.sums_name(release.system), base),
        provenance_url=document_url(release, naming.provenance_name(release.system), base),
        sbom_url=document_url(release, naming.sbom_name(release.system), base),
        checks=[
            check_shape(check)
            for check in release.checks.all()
            if check.gates or check.was_made_later
        ],
        artifacts=[
            _artifact_shape(artifact, release, base) for artifact in release.artifacts.all()
        ],
        least_memory_mib=documents.least_memory(release),
        commands={command.method: command.text for command in boot_commands(release, base)},
    )


def document_url(release: Release, name: str, base: str) -> str | None:
    """Where provenance or SBOM lie; None where the release has none, or none any more."""
    is_there = release.is_published and name in release.papers
    return paper_url(base, release, name) if is_there else None


def latest_then_shape(
    release: Release, move: HeadMove, until: HeadMove | None, base: str, *, at: datetime
) -> LatestThenShape:
    """The record of a release that became the latest by one move, and was it until another."""
    record = latest_shape(release, base)
    is_readable = release.is_published
    commands = boot_commands(release, base, pinned=True) if is_readable else []
    # What moves may be another release's by now, with other bytes than these digests say.
    record.artifacts = [
        artifact.model_copy(update={"url": artifact.immutable_url}) for artifact in record.artifacts
    ]
    record.commands = {command.method: command.text for command in commands}
    then = ThenShape(
        at=at,
        latest_from=move.at,
        latest_until=until.at if until else None,
        status=release.status,
        reason="" if is_readable else release.reason,
    )
    return LatestThenShape(**dict(record), then=then)


def signature_urls(release: Release, name: str, base: str) -> dict[str, str]:
    """Where the signatures of one of its papers lie, by kind; those that were noted with it."""
    kinds = zip(("ssh", "minisign"), naming.signature_names(name), strict=True)
    noted = release.papers
    return {kind: paper_url(base, release, each) for kind, each in kinds if each in noted}


def check_shape(check: Check) -> CheckShape:
    """One verdict, without the sentence that explains it."""
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
