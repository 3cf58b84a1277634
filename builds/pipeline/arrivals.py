"""From files that were built elsewhere to a draft: declared, taken in, handed to the pipeline."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from builds.builders.base import BadProduct, Pin
from builds.builders.names import Meant, recognised
from builds.builders.products import check_names, check_roles
from builds.choices import Act, Origin, System, Trigger, Urgency, Variant
from builds.models import (
    Actor,
    Arrival,
    ArrivingFile,
    AuditEntry,
    Build,
    Channel,
    NotAllowed,
    Release,
    Target,
)
from builds.pipeline.documents import Line, digest, sums
from builds.pipeline.plan import plan_checks
from builds.pipeline.space import free
from builds.points import point
from builds.storage import is_file_name

VERSION_LENGTH = 100
REVISION = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"[0-9a-f]{64}")


class WrongDeclaration(NotAllowed):
    """What is declared can't be a release of this channel; the text says why."""


class TooMuch(NotAllowed):
    """What is declared is larger, or more, than the portal takes."""


class NoRoom(NotAllowed):
    """The disk is too full for what is declared."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One file that is to come: its name as artifacts are named, bytes, and digest if known."""

    name: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a release is to be made of, and what is known of how it was made.

    `image_version` is what the image calls itself, "" where that is the version; `partial` says
    that the release may lack variants that its channel builds.
    """

    channel: Channel
    system: System
    files: Sequence[Declared]
    origin: Origin
    version: str
    revision: str = ""
    source: str = ""
    image_version: str = ""
    kernel_version: str = ""
    memory: int | None = None
    partial: bool = False


def declare(what: Declaration, *, by: Actor, at: datetime) -> Arrival:
    """Note what is to come. Raises NotAllowed or BadProduct where it can't be a release."""
    _refuse_wrong_words(what)
    _refuse_too_much(what, by)
    meant = {file.name: _meant(file.name, what.system) for file in what.files}
    _refuse_what_is_not_whole(what, meant)
    with transaction.atomic():
        arrival = Arrival.objects.create(
            channel=what.channel,
            system=what.system,
            origin=what.origin,
            source=what.source,
            version=what.version,
            image_version=what.image_version or what.version,
            revision=what.revision,
            kernel_version=what.kernel_version,
            declared_memory=what.memory,
            who=by.name,
            touched_at=at,
        )
        ArrivingFile.objects.bulk_create(
            ArrivingFile(
                arrival=arrival,
                name=file.name,
                variant=meant[file.name].variant,
                role=meant[file.name].role,
                size=file.size,
                sha256=file.sha256,
            )
            for file in what.files
        )
    return arrival


def finish(arrival: Arrival, *, by: Actor, at: datetime) -> Release:
    """Make a draft of an arrival whose files are all whole; the same one where that was done.

    From here on workers store, check and publish it as they do what was built here. Raises
    NotAllowed where something is missing, or another draft stands.
    """
    if arrival.release is not None:
        return arrival.release
    if missing := arrival.missing():
        raise NotAllowed(f"{arrival} is not complete: it waits for {', '.join(missing)}.")
    try:
        with transaction.atomic():
            # Locked, so that of two requests the second finds what the first has made.
            locked = Arrival.objects.select_for_update().get(pk=arrival.pk)
            release = locked.release or _draft(arrival, by, at)
            locked.become(release, at=at)
            point("arrival: draft made")
    except IntegrityError:
        raise NotAllowed(
            f"Another release of {arrival.channel} for {arrival.system} is in the making; cancel "
            "that one, or wait for it, and ask again."
        ) from None
    arrival.release = release
    return release


def _draft(arrival: Arrival, by: Actor, at: datetime) -> Release:
    why = Trigger.API if arrival.origin == Origin.UPLOADED else Trigger.ADMIN
    release = Release.objects.create(
        channel=arrival.channel,
        system=arrival.system,
        trigger=why,
        triggered_by_id=by.user_pk,
        urgency=Urgency.of(why),
    )
    release.pin(_pin(arrival), at=at, origin=Origin(arrival.origin))
    variants = sorted({file.variant for file in arrival.files.all()})
    Build.objects.bulk_create(Build(release=release, variant=variant) for variant in variants)
    plan_checks(release, variants)
    said = f"{arrival.get_origin_display()}: {arrival.source}".removesuffix(": ")
    AuditEntry.objects.record(Act.TRIGGER, release, by=by, at=at, reason=said)
    return release


def _pin(arrival: Arrival) -> Pin:
    return Pin(
        flake="",
        overrides={},
        revision=arrival.revision or _content_revision(arrival.files.all()),
        nar_hash="",
        version=arrival.image_version,
        name=arrival.version,
        source=arrival.source,
    )


def _content_revision(files: Iterable[ArrivingFile]) -> str:
    """What takes a revision's place where nobody knows one: the first 40 digits of the sums'."""
    return digest(sums(Line(file.sha256, file.name) for file in files))[:40]


def _meant(name: str, system: System) -> Meant:
    meant = recognised(name, system)
    if meant is None:
        raise BadProduct(f"{name} is not the name of an artifact for {system}.")
    return meant


def _refuse_wrong_words(what: Declaration) -> None:
    if what.system not in what.channel.systems():
        raise WrongDeclaration(f"{what.channel} is not built for {what.system}.")
    if not is_file_name(what.version) or len(what.version) > VERSION_LENGTH:
        raise WrongDeclaration(
            f"{what.version!r} can't be a version: it must be able to stand in a URL."
        )
    if what.revision and not REVISION.fullmatch(what.revision):
        raise WrongDeclaration(f"{what.revision!r} is no revision: that is 40 hex digits.")
    for file in what.files:
        if what.origin == Origin.UPLOADED and not DIGEST.fullmatch(file.sha256):
            raise WrongDeclaration(
                f"{file.sha256!r} is no SHA-256 of {file.name}: that is 64 hex digits."
            )
        if file.size < 1:
            raise BadProduct(f"{file.name} is empty (0 bytes).")


def _refuse_too_much(what: Declaration, by: Actor) -> None:
    """Limits for those outside; who is at the command line has the disk anyway."""
    if what.origin != Origin.UPLOADED:
        return
    largest = settings.UPLOAD_BYTES_MOST
    total = sum(file.size for file in what.files)
    if free(settings.DATA_DIR) < total + settings.DISK_FREE_LEAST:
        raise NoRoom(f"The portal has no room for {total} bytes right now.")
    if total > largest:
        raise TooMuch(f"{total} bytes are more than an upload may have: {largest}.")
    if len(what.files) > settings.UPLOAD_FILES_MOST:
        raise TooMuch(f"An upload has {settings.UPLOAD_FILES_MOST} files at most.")
    if Arrival.objects.unfinished().by(by.name).count() >= settings.UPLOADS_AT_ONCE:
        raise TooMuch(
            f"{by.name} has {settings.UPLOADS_AT_ONCE} unfinished uploads; finish or delete one."
        )


def _refuse_what_is_not_whole(what: Declaration, meant: dict[str, Meant]) -> None:
    check_names(file.name for file in what.files)
    variants = {each.variant for each in meant.values()}
    for variant in variants:
        check_roles(variant, (each.role for each in meant.values() if each.variant == variant))
    wanted = wanted_variants(what.channel, what.system)
    if foreign := _listed(variants - wanted):
        raise WrongDeclaration(f"{what.channel} has no {foreign} on {what.system}.")
    if not variants:
        raise WrongDeclaration("A release has at least one variant.")
    if not what.partial and (lacking := _listed(wanted - variants)):
        raise WrongDeclaration(
            f"{what.channel} for {what.system} also has {lacking}: who fetches that from the "
            "latest release would find nothing. Add it, or say that the release is to be partial."
        )


def wanted_variants(channel: Channel, system: System) -> set[Variant]:
    """The variants that a channel has on a system."""
    told = Target.objects.of(channel, system).values_list("variant", flat=True)
    return {Variant(variant) for variant in told}


def _listed(variants: Collection[Variant]) -> str:
    return ", ".join(variant for variant in Variant if variant in variants)
