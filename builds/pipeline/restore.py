"""Rebuilds the database from the storage: channels, releases, files, checks, heads.

Not to be had back: users, drafts, releases that failed, consoles and logs of builds and checks,
earlier attempts, who pressed a button; of a channel that the catalogue does not know all but
its name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import Error, transaction

from builds.choices import BuildStatus, Origin, ReleaseStatus, Role, Stage, System, Variant
from builds.models import Artifact, Build, Channel, Check, Head, HeadMove, Release
from builds.pipeline.documents import HISTORY_TIMES
from builds.pipeline.mirrored import (
    Mirrored,
    Refused,
    Shelf,
    Trust,
    check_files,
    read,
    shelves,
    status_of,
    time_of,
)
from builds.pipeline.publish import write_moving
from builds.pipeline.signatures import known_keys

logger = logging.getLogger(__name__)

WRONG = (Refused, OSError, ValueError, KeyError, TypeError, ValidationError, Error)
BUILD_FIELDS = (
    "variant", "attribute", "attempt", "derivation", "store_path", "closure_size",
    "kernel_version", "kernel_params", "sandboxed", "builder_version", "stage_seconds",
)  # fmt: skip
CHECK_FIELDS = ("name", "verdict", "reason", "seconds", "accelerator")
ARTIFACT_FIELDS = ("name", "variant", "role", "size", "sha256")

History = dict[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one thing: restored, known, or refused; the text names it and says why."""

    word: str
    text: str

    @property
    def is_refused(self) -> bool:
        """Whether something could not be restored."""
        return self.word == "refused"

    def __str__(self) -> str:
        return f"{self.word}: {self.text}"


def restore(*, at: datetime, unsigned: bool = False) -> Iterator[Outcome]:
    """Make the rows that the storage tells of; what is there already stays as it is.

    Every file of a published release is hashed; one that does not match refuses its release.
    Where the release keys are known, a release that none of them has signed is refused, too; with
    `unsigned` one without any signature is taken. Raises OSError where the storage can't be
    listed.
    """
    trust = Trust(known_keys(), unsigned=unsigned)
    for shelf in shelves():
        try:
            yield from _restore_channel(shelf, at, trust)
        except WRONG as error:
            yield Outcome("refused", f"channel {shelf.channel}: {error}")


def _restore_channel(shelf: Shelf, at: datetime, trust: Trust) -> Iterator[Outcome]:
    outcomes = []
    for outcome in _outcomes(shelf, at, trust):
        outcomes.append(outcome)
        yield outcome
    # What was refused is told of in the files that move: they stay until it is put right.
    if not any(outcome.is_refused for outcome in outcomes):
        write_moving(shelf.channel)


def _outcomes(shelf: Shelf, at: datetime, trust: Trust) -> Iterator[Outcome]:
    history = shelf.history()
    channel = Channel.objects.filter(name=shelf.channel).first()
    if channel is None:
        channel = _bare_channel(shelf.channel)
        yield Outcome("restored", f"channel {channel}: by its name only, and not active")
    came = set()
    for found in read(shelf):
        if isinstance(found, Refused):
            yield Outcome("refused", str(found))
            continue
        line = history.pop((found.system, found.version), None)
        outcome = _restored(channel, found, line or _told_by_latest(shelf, found), trust)
        if outcome.word == "restored":
            came.add((found.system, found.version))
        yield outcome
    yield from (_recorded(channel, line) for line in history.values())
    for system in System:
        said = shelf.latest(system).get("version")
        yield from _restore_head(channel, system, said, at, is_new=(system, said) in came)


def _bare_channel(name: str) -> Channel:
    channel = Channel(name=name, title=name, is_active=False)
    channel.clean_fields(exclude=["flake"])
    channel.save()
    return channel


def _told_by_latest(shelf: Shelf, found: Mirrored) -> dict[str, Any] | None:
    """What the latest record tells of a release, where the history is missing."""
    latest = shelf.latest(found.system)
    if latest.get("version") != found.version:
        return None
    return {"status": ReleaseStatus.PUBLISHED, "published_at": latest["published_at"]}


def _restored(
    channel: Channel, found: Mirrored, line: dict[str, Any] | None, trust: Trust
) -> Outcome:
    name = f"{channel} {found.version} {found.system}"
    if Release.objects.of(channel, found.system).filter(version=found.version).exists():
        return Outcome("known", name)
    try:
        status = status_of(line)
        signed_by = trust.signer_of(found)
        if status == ReleaseStatus.PUBLISHED:
            check_files(found)
        with transaction.atomic():
            fields = _told(found, line) | {"signed_by": signed_by}
            release = _release(channel, found.system, status, fields)
            _add_builds(release, found)
            _add_later(release, line or {})
    except WRONG as error:
        return Outcome("refused", f"{name}: {error}")
    return Outcome("restored", f"{name}, {release.get_status_display()}")


def _recorded(channel: Channel, line: dict[str, Any]) -> Outcome:
    """A release without files: that there was one, so that nothing is named like it again."""
    name = f"{channel} {line['version']} {line['system']}"
    if Release.objects.of(channel, line["system"]).filter(version=line["version"]).exists():
        return Outcome("known", name)
    try:
        status = status_of(line)
        if status == ReleaseStatus.PUBLISHED:
            raise Refused("its manifest is missing")
        fields = {name: line[name] for name in ("version", "sequence", "revision", "trigger")}
        removed_at = time_of(line["expired_at"] or line["finished_at"])
        fields |= _line_fields(line) | _origin(line) | {"files_removed_at": removed_at}
        with transaction.atomic():
            release = _release(channel, System(line["system"]), status, fields)
    except WRONG as error:
        return Outcome("refused", f"{name}: {error}")
    return Outcome("restored", f"{name}, {release.get_status_display()}, without its files")


def _release(
    channel: Channel, system: System, status: ReleaseStatus, fields: dict[str, Any]
) -> Release:
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
    fields |= _origin(manifest)
    fields["pinned_at"] = time_of(manifest["created_at"])
    fields["created_at"] = time_of(manifest["begun_at"])
    fields["papers"] = found.papers
    fields |= _line_fields(line or {})
    fields["published_at"] = fields["published_at"] or found.modified_at
    fields["finished_at"] = fields["finished_at"] or fields["published_at"]
    return fields


def _origin(record: dict[str, Any]) -> dict[str, Any]:
    """Where it was made; what says nothing of that was built here."""
    told = record.get("origin", {"kind": Origin.BUILT, "source": ""})
    return {"origin": Origin(told["kind"]), "source": str(told["source"])}


def _line_fields(line: dict[str, Any]) -> dict[str, Any]:
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
        Check.objects.create(release=release, **{name: each[name] for name in CHECK_FIELDS})


def _add_later(release: Release, line: dict[str, Any]) -> None:
    """What the manifest leaves out, or can't tell; records of an older portal say nothing of it."""
    for each in line.get("checks", []):
        found = {name: each[name] for name in CHECK_FIELDS} | {
            "gates": each["gates"],
            "memory": each["memory_mib"],
            "picture": each["picture"],
        }
        Check.objects.update_or_create(release=release, name=found.pop("name"), defaults=found)
    for name, memory in line.get("least_memory_mib", {}).items():
        release.artifacts.filter(name=name).update(least_memory=memory)


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


def _restore_head(
    channel: Channel, system: System, said: str | None, at: datetime, *, is_new: bool
) -> Iterator[Outcome]:
    """The head that the storage names, else the newest; one that is there stays.

    Save where the one that is named has come back only now, after it was refused before.
    """
    published = Release.objects.of(channel, system).published()
    has_head = Head.objects.of(channel.name, system) is not None
    if (has_head and not is_new) or not published.exists():
        return
    release = published.filter(version=said).first() or published[0]
    HeadMove.objects.derive(channel, system)
    Head.objects.move(release, at=release.published_at or at)
    if release.version != said:
        yield Outcome(
            "refused", f"the head of {channel} on {system}: {release.version}, not {said}"
        )
