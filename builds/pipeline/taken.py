"""Rows of releases that were made elsewhere or before: from manifests, and lines of the history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import Error, transaction

from builds.choices import (
    Act,
    BuildStatus,
    Origin,
    ReleaseStatus,
    Role,
    Stage,
    System,
    TransferKind,
    Variant,
)
from builds.models import (
    Actor,
    Artifact,
    AuditEntry,
    Build,
    Channel,
    Check,
    Head,
    Release,
    Transfer,
)
from builds.pipeline.documents import HISTORY_TIMES
from builds.pipeline.mirrored import Mirrored, Refused, time_of
from builds.pipeline.publish import tell
from builds.storage import is_file_name

BUILD_FIELDS = (
    "variant", "attribute", "attempt", "derivation", "store_path", "closure_size",
    "kernel_version", "kernel_params", "sandboxed", "builder_version", "stage_seconds",
)  # fmt: skip
CHECK_FIELDS = ("name", "verdict", "reason", "seconds", "accelerator")
ARTIFACT_FIELDS = ("name", "variant", "role", "size", "sha256")


WRONG = (Refused, OSError, ValueError, KeyError, TypeError, ValidationError, Error)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one thing, in a word such as restored or refused; the text names it."""

    word: str
    text: str

    @property
    def is_refused(self) -> bool:
        """Whether something could not be restored."""
        return self.word == "refused"

    def __str__(self) -> str:
        return f"{self.word}: {self.text}"


def refusal(what: str, error: Exception) -> Outcome:
    """That something was refused, and why."""
    why = f"it does not tell its {error.args[0]}" if isinstance(error, KeyError) else str(error)
    return Outcome("refused", f"{what}: {why}")


def bare_channel(name: str) -> Channel:
    """A channel of which nothing but the name is known. Raises ValidationError."""
    channel = Channel(name=name, title=name, is_active=False)
    channel.clean_fields(exclude=["flake"])
    channel.save()
    return channel


def add_whole(
    channel: Channel,
    found: Mirrored,
    line: dict[str, Any] | None,
    status: ReleaseStatus,
    *,
    signed_by: str = "",
) -> Release:
    """A release with its files, builds and checks; call it in a transaction.

    `signed_by` names the key of this portal that has signed it, "" where none has.
    """
    fields = _told(found, line) | {"signed_by": signed_by}
    release = add(channel, found.system, status, fields)
    _add_builds(release, found)
    _add_later(release, line or {})
    return release


@dataclass(frozen=True, slots=True)
class Source:
    """Where releases are taken from: a URL or a file's name, and what was verified by whom."""

    kind: TransferKind
    name: str
    signer: str = ""


def take_in(
    channel: Channel, found: Mirrored, line: dict[str, Any], source: Source, *, at: datetime
) -> Release:
    """Publish a release whose files lie in the storage already, with all that was told of it.

    It becomes the latest where it is newer than that. Raises what WRONG names.
    """
    with transaction.atomic():
        release = _take_in(channel, found, line, source, at)
    tell(channel.name)
    return release


def rehearse(releases: Iterable[tuple[Mirrored, dict[str, Any]]], *, at: datetime) -> None:
    """Do the same with the rows alone, and take it back: what is told must fit all rules of rows.

    So nothing has been fetched or written for a release that could not be taken in. Raises
    Refused.
    """
    name = ""
    source = Source(TransferKind.IMPORTED, "")
    try:
        with transaction.atomic():
            for found, line in releases:
                name = f"{found}: "
                channel, _ = channel_for(found.channel)
                _take_in(channel, found, line, source, at)
            transaction.set_rollback(True)
    except WRONG as error:
        raise Refused(f"{name}{error}") from error


def _take_in(
    channel: Channel, found: Mirrored, line: dict[str, Any], source: Source, at: datetime
) -> Release:
    head = Head.objects.of(channel.name, found.system)
    is_latest = head is None or (head.release.sequence or 0) < found.sequence
    status = ReleaseStatus.DRAFT if is_latest else ReleaseStatus.PUBLISHED
    release = add_whole(channel, found, _of_elsewhere(line, at), status)
    Transfer.objects.create(
        release=release,
        kind=source.kind,
        source=source.name,
        signer=source.signer,
        taken_at=at,
    )
    if is_latest:
        release.publish(at=at, first_at=release.published_at)
    by = Actor(f"{source.kind} from {source.name}")
    AuditEntry.objects.record(Act.PUBLISH, release, by=by, at=at)
    return release


def channel_for(name: str) -> tuple[Channel, bool]:
    """The channel that releases made elsewhere go to, and whether it was built here before.

    Raises Refused where it has releases of this portal's own: two portals would give the same
    number to two releases.
    """
    channel = Channel.objects.filter(name=name).first() or bare_channel(name)
    own = channel.releases.made_here().order_by("pk").first()
    if own is not None:
        raise Refused(f"{own} was built here; a channel has its releases from one portal only")
    return channel, channel.stop_building()


def _of_elsewhere(line: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Of what another portal tells only what holds here too; no time of its lies ahead.

    Pictures are in no manifest, so that nothing vouches for them: they stay there.
    """
    checks = [each | {"picture": "", "kept": []} for each in line.get("checks", [])]
    told = time_of(line.get("published_at"))
    return {
        "published_at": min(told or at, at).isoformat(),
        "checks": checks,
        "least_memory_mib": line.get("least_memory_mib", {}),
    }


def add(channel: Channel, system: System, status: ReleaseStatus, fields: dict[str, Any]) -> Release:
    """The row of a release as it was told of. Raises ValidationError and database errors."""
    begun_at = fields.pop("created_at", None) or fields["published_at"]
    release = Release(channel=channel, system=system, status=status, **fields)
    release.clean_fields(exclude=["status"])
    release.save()
    Release.objects.filter(pk=release.pk).update(created_at=begun_at)
    return release


def _told(found: Mirrored, line: dict[str, Any] | None) -> dict[str, Any]:
    """The fields of a release, from its manifest and from what became of it."""
    manifest = found.manifest
    fields = {
        name: manifest[name]
        for name in (
            "version", "sequence", "revision", "nar_hash", "flake", "overrides",
            "image_version", "trigger", "forced",
        )
    }  # fmt: skip
    fields |= origin_fields(manifest)
    fields["pinned_at"] = time_of(manifest["created_at"])
    fields["created_at"] = time_of(manifest["begun_at"])
    fields["papers"] = found.papers
    fields |= line_fields(line or {})
    fields["published_at"] = fields["published_at"] or found.modified_at
    fields["finished_at"] = fields["finished_at"] or fields["published_at"]
    return fields


def origin_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Where a release was made; what a record says nothing of was built here."""
    told = record.get("origin", {"kind": Origin.BUILT, "source": ""})
    return {"origin": Origin(told["kind"]), "source": str(told["source"])}


def line_fields(line: dict[str, Any]) -> dict[str, Any]:
    """The fields that a line of a channel's history tells of."""
    times = {name: time_of(line.get(name)) for name in HISTORY_TIMES}
    return {
        **times,
        "reason": line.get("reason") or "",
        "kept_reason": line.get("kept") or "",
    }


def _add_builds(release: Release, found: Mirrored) -> None:
    builds = {each["variant"]: _build(release, each) for each in found.manifest["builds"]}
    for each in found.manifest["artifacts"]:
        variant = Variant.NETBOOT if each["role"] == Role.IPXE else each["variant"]
        fields = {name: each[name] for name in ARTIFACT_FIELDS}
        Artifact.objects.create(release=release, build=builds.get(variant), **fields)
    for each in found.manifest["checks"]:
        Check.objects.create(release=release, **_check_fields(each))


def _add_later(release: Release, line: dict[str, Any]) -> None:
    """What the manifest leaves out, or can't tell; records of an older portal say nothing of it."""
    for each in line.get("checks", []):
        found = _check_fields(each) | {
            "gates": each["gates"],
            "memory": each["memory_mib"],
            "picture": each["picture"],
        }
        Check.objects.update_or_create(release=release, name=found.pop("name"), defaults=found)
    for name, memory in line.get("least_memory_mib", {}).items():
        release.artifacts.filter(name=name).update(least_memory=memory)
    transfer = line.get("transfer")
    if transfer is not None:
        told = {name: transfer[name] for name in ("kind", "source", "signer")}
        taken_at = datetime.fromisoformat(transfer["taken_at"])
        Transfer.objects.create(release=release, taken_at=taken_at, **told)


def _check_fields(told: dict[str, Any]) -> dict[str, Any]:
    """A check's; what another's manifest says of two builds says nothing of files kept here."""
    comparison = {k: v for k, v in told.get("comparison", {}).items() if k != "kept"}
    kept = [name for name in told.get("kept", []) if is_file_name(name)]
    found = {name: told[name] for name in CHECK_FIELDS}
    return found | {"comparison": comparison | ({"kept": kept} if kept else {})}


def _build(release: Release, told: dict[str, Any]) -> Build:
    build = Build.objects.create(
        release=release,
        status=BuildStatus.SUCCEEDED,
        stage=Stage.STORE,
        started_at=time_of(told["started_at"]),
        finished_at=time_of(told["finished_at"]),
        source=told.get("source", ""),
        **{name: told[name] for name in BUILD_FIELDS},
    )
    Build.objects.filter(pk=build.pk).update(queued_at=build.started_at or release.created_at)
    return build
