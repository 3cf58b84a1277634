"""From a wish to a plan: which release is due, what it is made of, which builds it needs."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from builds.builders.base import Builder, BuilderError, Source
from builds.choices import Act, BuilderName, CheckName, ReleaseStatus, System, Trigger, Urgency
from builds.models import (
    MOST_ATTEMPTS,
    Actor,
    AuditEntry,
    Build,
    Channel,
    Check,
    Head,
    Release,
    Target,
    pause,
)
from builds.pipeline.watch import has_ended
from builds.points import point
from builds.storage import is_file_name

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)


def trigger(
    channel: Channel,
    systems: Iterable[System],
    *,
    why: Trigger,
    by: User | Actor | None = None,
    forced: bool = False,
    slot_at: datetime | None = None,
    together: bool = False,
) -> list[Release]:
    """The drafts for these systems of a channel: those in the making, or new ones.

    However many ask at once, a channel has one draft for each system. One that is in the making
    when the weekly slot comes is the release of that slot. Each is written by itself, so that
    what holds one system back holds back no other; `together` all are written, or none.
    """
    wanted = [
        Release(
            channel=channel,
            system=system,
            trigger=why,
            triggered_by=by if by is None or not isinstance(by, Actor) else None,
            forced=forced,
            slot_at=slot_at,
            urgency=Urgency.of(why),
        )
        for system in systems
    ]
    actor = Actor.behind(why, by)
    groups = [wanted] if together else [[each] for each in wanted]
    return [draft for group in groups for draft in _drafts(group, actor)]


def _drafts(wanted: list[Release], actor: Actor) -> list[Release]:
    """Write them in one transaction: the releases first, then the trail, as everybody does.

    Who holds the trail's lock and waits for a release would wait for who waits for the trail.
    """
    point("trigger: wanted")
    with transaction.atomic():
        drafts = [(each, draft) for each in wanted if (draft := _draft(each)) is not None]
        for each, draft in drafts:
            if draft is each or each.slot_at is None:
                AuditEntry.objects.record(Act.TRIGGER, draft, by=actor, at=timezone.now())
    if any(draft is each for each, draft in drafts):
        point("trigger: committed")
    return [draft for _, draft in drafts]


def _draft(wanted: Release) -> Release | None:
    """The draft itself, written now, or the one in the making, which it joins."""
    try:
        with transaction.atomic():
            wanted.save()
    except IntegrityError:
        # One draft at a time, and one release per slot: the constraints know.
        draft = Release.objects.of(wanted.channel, wanted.system).drafts().first()
        if draft is not None:
            _join(draft, wanted)
        return draft
    point("trigger: saved")
    return wanted


def _join(draft: Release, wanted: Release) -> None:
    """Let the draft in the making be what was wanted: the slot's release, or somebody's."""
    if wanted.slot_at is not None:
        draft.fill(wanted.slot_at)
    else:
        draft.hurry(Urgency(wanted.urgency), forced=wanted.forced)


def trigger_due(at: datetime) -> list[Release]:
    """Drafts for every channel whose weekly slot has come and is not filled yet.

    A slot that passed while nothing ran is made up for, once; slots from before the channel was
    there, or had this slot, do not count.
    """
    drafts = []
    for channel in Channel.objects.active():
        slot = channel.slot_at_or_before(at)
        if slot < (channel.slot_moved_at or channel.created_at):
            continue
        filled = set(channel.releases.filter(slot_at=slot).values_list("system", flat=True))
        missing = [system for system in channel.systems() if system not in filled]
        drafts += trigger(channel, missing, why=Trigger.SCHEDULE, slot_at=slot)
    return drafts


def pin(release: Release, builder: Builder, *, at: datetime) -> None:
    """Fix the release's sources and queue its builds and checks; doing it again does nothing."""
    targets = list(Target.objects.of(release.channel, release.system))
    if not targets:
        release.fail_as_holder(f"Nothing is built of {release.channel} on {release.system}.", at=at)
        return
    point("plan: before pinning")
    try:
        pinned = builder.pin(source_of(release.channel, targets[0]), has_ended(release))
    except BuilderError as error:
        logger.warning("%s can't be planned: %s", release, error)
        _not_pinned(release, error, at)
        return
    point("plan: pinned")
    if not is_file_name(pinned.version):
        release.fail_as_holder(
            f"The image calls itself {pinned.version!r}, which can't be a name.", at=at
        )
        return
    unwanted = "" if release.forced else _why_not_again(release, pinned.revision)
    if unwanted:
        release.skip(pinned.revision, unwanted, at=at)
        return
    with transaction.atomic():
        if release.pin(pinned, at=at, origin=BuilderName(release.channel.builder).origin):
            point("plan: pin written")
            _queue(release, targets)
            point("plan: builds written")
    point("plan: committed")


def _not_pinned(release: Release, error: BuilderError, at: datetime) -> None:
    reason = f"The source could not be evaluated: {error}"
    tries = release.plan_tries + 1
    if error.retry and tries < MOST_ATTEMPTS:
        release.postpone(reason, error.excerpt, until=at + pause(tries))
    else:
        release.fail_as_holder(reason, error.excerpt, at=at)


def source_of(channel: Channel, target: Target) -> Source:
    """A channel's source as a builder takes it: folders absolute, the attribute filled in."""
    return Source(
        flake=absolute(channel.flake),
        attribute=filled(target.attribute, target.system, target.variant),
        overrides={name: absolute(ref) for name, ref in channel.overrides.items()},
        revision_input=channel.revision_input,
    )


def filled(attribute: str, system: str, variant: str) -> str:
    """An attribute with {system}, {variant} and {host}, this machine's own system, filled in."""
    host = f"{platform.machine()}-linux"
    for name, value in (("system", system), ("variant", variant), ("host", host)):
        attribute = attribute.replace(f"{{{name}}}", value)
    return attribute


def absolute(flake: str) -> str:
    """A relative path: ref is meant from the project's root, wherever that lies."""
    scheme, _, path = flake.partition(":")
    if scheme != "path" or path.startswith("/"):
        return flake
    return f"path:{settings.BASE_DIR / path}"


def _why_not_again(release: Release, revision: str) -> str:
    """Why a revision that was published once is not built again by itself; "" where it is.

    What an admin took back stays back until the revision moves, or somebody forces it. A source
    that went back to what it was before the head is news, however old it is.
    """
    head = Head.objects.of(release.channel.name, release.system)
    if head is not None and head.release.revision == revision:
        return f"The revision {revision[:7]} has not moved since the last release."
    known = release.siblings().known_to_outside().filter(revision=revision)
    last = known.order_by("-sequence").first()
    if last is None:
        return ""
    if last.status == ReleaseStatus.WITHDRAWN:
        return f"The revision {revision[:7]} was withdrawn with {last.version}: {last.reason}"
    if head is not None and last.is_published and _is_before(head.release, last):
        return f"The revision {revision[:7]} was rolled back from with {last.version}."
    return ""


def _is_before(release: Release, other: Release) -> bool:
    return (release.sequence or 0) < (other.sequence or 0)


def _queue(release: Release, targets: list[Target]) -> None:
    Build.objects.bulk_create(
        Build(release=release, variant=target.variant, attribute=target.attribute)
        for target in targets
    )
    plan_checks(release, [target.variant for target in targets])


def plan_checks(release: Release, variants: list[str]) -> None:
    """Note the checks that a release of these variants waits for, and by which it is held back."""
    channel = release.channel
    for wanted, holds_back in ((channel.checks, True), (channel.checks_told, False)):
        names = CheckName.planned(wanted, release.system, variants, release.origin)
        Check.objects.plan(release, names, gates=True, holds_back=holds_back)
