"""The texts of a release that machines read: sums, manifest, iPXE script; same rows, same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from builds.choices import Role
from builds.models import Artifact, Build, Check, Head, Release, SignedSums
from builds.pipeline import naming, provenance
from builds.pipeline.canonical import canonical, exact, instant, public_ref
from builds.pipeline.sbom import sbom

MANIFEST_FORMAT = 1
HEADS = "heads"  # in the signer's answers, what its files are bound to: see heads_digest
SIGNED_SOON = timedelta(seconds=10)
HISTORY_TIMES = ("published_at", "finished_at", "kept_at", "expired_at")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a sums file: lowercase hex SHA-256 and a file's name."""

    sha256: str
    name: str


def sums(lines: Iterable[Line]) -> bytes:
    """Lines as `sha256sum -c` reads them, in the order of the names."""
    ordered = sorted(lines, key=lambda line: line.name)
    return "".join(f"{line.sha256}  {line.name}\n" for line in ordered).encode()


def digest(data: bytes) -> str:
    """The lowercase hex SHA-256 of a text."""
    return hashlib.sha256(data).hexdigest()


def release_sums(release: Release) -> bytes:
    """The sums file of one release: each of its artifacts."""
    return sums(Line(artifact.sha256, artifact.name) for artifact in release.artifacts.all())


def papers(release: Release) -> dict[str, bytes]:
    """Sums, manifest and, where there is one, SBOM of a release by their names.

    The provenance is not among them: the signer writes it.
    """
    found = {
        naming.sums_name(release.system): release_sums(release),
        naming.manifest_name(release.system): manifest(release),
    }
    components = sbom(release)
    return found if components is None else found | {naming.sbom_name(release.system): components}


def expires_at(release: Release) -> datetime:
    """From when on nobody should take this release for the latest any more."""
    assert release.pinned_at is not None, "a release with papers is planned"
    return release.pinned_at + timedelta(days=settings.MANIFEST_EXPIRES_DAYS)


def manifest(release: Release) -> bytes:
    """What a release is, in canonical JSON: sorted keys, no white space, one line.

    It says nothing that could change later, so that writing it again gives the same bytes.
    """
    record = (
        origin_record(release)
        | provenance.documents_record(release)
        | {
            "format": MANIFEST_FORMAT,
            "channel": release.channel.name,
            "system": release.system,
            "version": release.version,
            "sequence": release.sequence,
            "revision": release.revision,
            "nar_hash": release.nar_hash,
            "flake": public_ref(release.flake),
            "overrides": {name: public_ref(ref) for name, ref in release.overrides.items()},
            "image_version": release.image_version,
            "trigger": release.trigger,
            "forced": release.forced,
            "begun_at": exact(release.created_at),
            "created_at": instant(release.pinned_at),
            "expires_at": instant(expires_at(release)) if release.pinned_at else None,
            "sandboxed": release.sandboxed,
            "artifacts": [_artifact_record(artifact) for artifact in release.artifacts.all()],
            "builds": [_build_record(build) for build in release.builds.succeeded()],
            "checks": [_check_record(check) for check in release.checks.gating()],
        }
    )
    return canonical(record)


def origin_record(release: Release) -> dict[str, Any]:
    """Where a release was made, for one that was not built here; without it, it was."""
    if release.is_built_here:
        return {}
    return {"origin": {"kind": release.origin, "source": release.source}}


def latest_record(release: Release) -> bytes:
    """What stands in a mirror beside the releases: which one is the latest, by relative URLs."""
    record = origin_record(release) | {
        "format": MANIFEST_FORMAT,
        "channel": release.channel.name,
        "system": release.system,
        "version": release.version,
        "sequence": release.sequence,
        "revision": release.revision,
        "published_at": instant(release.published_at),
        "manifest": f"{release.version}/{naming.manifest_name(release.system)}",
        "sums": f"{release.version}/{naming.sums_name(release.system)}",
        "artifacts": [
            _artifact_record(artifact) | {"url": f"{release.version}/{artifact.name}"}
            for artifact in release.artifacts.all()
        ],
        "least_memory_mib": least_memory(release),
    }
    return canonical(record)


def history_record(channel: str) -> bytes | None:
    """What became of each release of a channel that was published; None where none was.

    What a manifest can't say because it changes: restoring reads it, so that what was withdrawn
    stays withdrawn, and no version or number is given twice.
    """
    releases = Release.objects.known_to_outside().filter(channel__name=channel)
    found = releases.select_related("transfer").order_by("system", "sequence")
    found = found.prefetch_related("checks", "artifacts")
    records = [_history_line(release) for release in found]
    if not records:
        return None
    return canonical({"format": MANIFEST_FORMAT, "channel": channel, "releases": records})


def boot_script(release: Release, *, moving: bool) -> bytes | None:
    """The iPXE script of a release, None where it has no netboot.

    Its URLs are relative and name one release: the moving script lies one folder above the
    files, the immutable one beside them. So no host is named, and a kernel never meets another
    week's initrd.
    """
    netboot = netboot_of(release)
    if netboot is None:
        return None
    folder = f"{release.version}/" if moving else ""
    context = {"release": release, "folder": folder, **netboot}
    return render_to_string("boot/netboot.ipxe", context).encode()


def netboot_of(release: Release) -> dict[str, str] | None:
    """Of a release's netboot, the names of `kernel` and `initrd` and the kernel's `params`.

    None where it has no netboot.
    """
    by_role = {artifact.role: artifact for artifact in release.artifacts.all()}
    kernel, initrd = by_role.get(Role.KERNEL), by_role.get(Role.INITRD)
    if kernel is None or initrd is None:
        return None
    params = kernel.build.kernel_params if kernel.build else ""
    return {"kernel": kernel.name, "initrd": initrd.name, "params": params}


def moving_files(channel: str) -> dict[str, bytes]:
    """Every small file that moves with a channel's heads, by its name."""
    releases = _at_heads(channel)
    files = _files_of_heads(releases) | signed_of_heads(channel, releases)
    history = history_record(channel)
    return files if history is None else files | {naming.history_name(): history}


def moving_file(channel: str, name: str) -> bytes | None:
    """One of them; None where there is none of this name."""
    if name == naming.history_name():
        return history_record(channel)
    if name not in naming.moving_names():
        return None
    releases = _at_heads(channel)
    if name in naming.signed_names():
        return signed_of_heads(channel, releases).get(name)
    return _files_of_heads(releases).get(name)


def moving_sums(releases: Iterable[Release]) -> bytes:
    """The sums that move, where these releases are the latest of a channel's systems."""
    return sums(
        line
        for release in releases
        for line in _moving_lines(release, boot_script(release, moving=True))
    )


def heads_digest(releases: Iterable[Release]) -> str:
    """What the signer's files of a channel are bound to: the sums that move, and whose they are."""
    known = list(releases)
    named = "".join(f"{each.system} {each.version} {each.sequence}\n" for each in known)
    return digest(moving_sums(known) + named.encode())


def signed_of_heads(channel: str, releases: list[Release]) -> dict[str, bytes]:
    """What the signer made for the heads as they stand; nothing while it has yet to."""
    row = SignedSums.objects.of(channel, heads_digest(releases)) if releases else None
    return row.contents if row else {}


def may_be_signed_soon(channel: str, *, at: datetime) -> bool:
    """Whether the signer is asked just now for the sums of a channel: a head has moved within
    SIGNED_SOON, and all heads are of signed releases."""
    heads = list(Head.objects.with_files().filter(channel__name=channel))
    return all(head.release.signed_by for head in heads) and any(
        head.moved_at > at - SIGNED_SOON for head in heads
    )


def _at_heads(channel: str) -> list[Release]:
    return [head.release for head in Head.objects.with_files().filter(channel__name=channel)]


def _files_of_heads(releases: list[Release]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for release in releases:
        files[naming.latest_name(release.system)] = latest_record(release)
        script = boot_script(release, moving=True)
        if script is not None:
            files[naming.script_name(release.system)] = script
    if releases:
        files[naming.MOVING_SUMS] = moving_sums(releases)
    return files


def _moving_lines(release: Release, script: bytes | None) -> list[Line]:
    """The sums of what the moving URLs give: the script there differs from the immutable one."""
    lines = [
        Line(artifact.sha256, artifact.name)
        for artifact in release.artifacts.all()
        if artifact.role != Role.IPXE
    ]
    if script is not None:
        lines.append(Line(digest(script), naming.script_name(release.system)))
    return lines


def _artifact_record(artifact: Artifact) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "variant": artifact.variant,
        "role": artifact.role,
        "size": artifact.size,
        "sha256": artifact.sha256,
    }


def _build_record(build: Build) -> dict[str, Any]:
    source = {"source": build.source} if build.source else {}
    return source | {
        "variant": build.variant,
        "attribute": build.attribute,
        "attempt": build.attempt,
        "derivation": build.derivation,
        "store_path": build.store_path,
        "closure_size": build.closure_size,
        "kernel_version": build.kernel_version,
        "kernel_params": build.kernel_params,
        "sandboxed": build.sandboxed,
        "builder_version": build.builder_version,
        "stage_seconds": build.stage_seconds,
        "started_at": exact(build.started_at),
        "finished_at": exact(build.finished_at),
    }


def _check_record(check: Check) -> dict[str, Any]:
    # What was kept of a difference is no part of the release, as pictures are none.
    comparison = {name: check.comparison[name] for name in check.comparison if name != "kept"}
    return ({"comparison": comparison} if comparison else {}) | {
        "name": check.name,
        "verdict": check.verdict,
        "reason": check.reason,
        "seconds": check.seconds,
        "accelerator": check.accelerator,
    }


def _later_record(check: Check) -> dict[str, Any]:
    """A check that the manifest does not tell of, or what it leaves out of one that it does."""
    return _check_record(check) | {
        "gates": check.gates,
        "memory_mib": check.memory,
        "picture": check.picture,
        "kept": check.kept_files,
    }


def least_memory(release: Release) -> dict[str, int]:
    """The fewest MiB of RAM with which each file was seen to boot, of those that were measured."""
    return {
        artifact.name: artifact.least_memory
        for artifact in release.artifacts.all()
        if artifact.least_memory
    }


def _history_line(release: Release) -> dict[str, Any]:
    return origin_record(release) | {
        "system": release.system,
        "version": release.version,
        "sequence": release.sequence,
        "revision": release.revision,
        "status": release.status,
        "trigger": release.trigger,
        "reason": release.reason,
        "kept": release.kept_reason if release.is_kept else None,
        "checks": [
            _later_record(check)
            for check in release.checks.all()
            if check.gates or check.was_made_later
        ],
        "least_memory_mib": least_memory(release),
        **{name: exact(getattr(release, name)) for name in HISTORY_TIMES},
        **_transfer_record(release),
    }


def _transfer_record(release: Release) -> dict[str, Any]:
    """Where it came from, of a release that was made elsewhere."""
    transfer = getattr(release, "transfer", None)
    if transfer is None:
        return {}
    told = {name: getattr(transfer, name) for name in ("kind", "source", "signer")}
    return {"transfer": told | {"taken_at": exact(transfer.taken_at)}}
