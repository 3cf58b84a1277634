"""From a wish to a plan: which release is due, what it is made of, which builds it needs."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction

from builds.builders.base import Builder, BuilderError, Source
from builds.choices import CheckName, System, Trigger, Urgency
from builds.models import MOST_ATTEMPTS, Build, Channel, Check, Head, Release, Target, pause
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
    by: User | None = None,
    forced: bool = False,
    slot_at: datetime | None = None,
) -> list[Release]:
    """The drafts for these systems of a channel: those in the making, or new ones.

    However many ask at once, a channel has one draft for each system.
    """
    wanted = (
        Release(
            channel=channel,
            system=system,
            trigger=why,
            triggered_by=by,
            forced=forced,
            slot_at=slot_at,
            urgency=Urgency.of(why),
        )
        for system in systems
    )
    return [draft for release in wanted if (draft := _draft(release)) is not None]


def _draft(wanted: Release) -> Release | None:
    point("trigger: wanted")
    try:
        with transaction.atomic():
            wanted.save()
            point("trigger: saved")
    except IntegrityError:
        # One draft at a time, and one release per slot: the constraints know.
        draft = Release.objects.of(wanted.channel, wanted.system).drafts().first()
        if draft is not None and wanted.slot_at is None:
            draft.hurry(Urgency(wanted.urgency), forced=wanted.forced)
        return draft
    point("trigger: committed")
    return wanted


def trigger_due(at: datetime) -> list[Release]:
    """Drafts for every channel whose weekly slot has come and is not filled yet.

    A slot that passed while nothing ran is made up for; slots from before the channel was
    there do not count.
    """
    drafts = []
    for channel in Channel.objects.active():
        slot = channel.slot_at_or_before(at)
        if slot < channel.created_at:
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
    if not release.forced and _is_published_already(release, pinned.revision):
        release.skip(pinned.revision, at=at)
        return
    with transaction.atomic():
        if release.pin(pinned, at=at):
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
    return attribute.format(system=system, variant=variant, host=host)


def absolute(flake: str) -> str:
    """A relative path: ref is meant from the project's root, wherever that lies."""
    scheme, _, path = flake.partition(":")
    if scheme != "path" or path.startswith("/"):
        return flake
    return f"path:{settings.BASE_DIR / path}"


def _is_published_already(release: Release, revision: str) -> bool:
    head = Head.objects.of(release.channel.name, release.system)
    return head is not None and head.release.revision == revision


def _queue(release: Release, targets: list[Target]) -> None:
    Build.objects.bulk_create(
        Build(release=release, variant=target.variant, attribute=target.attribute)
        for target in targets
    )
    variants = [target.variant for target in targets]
    names = CheckName.planned(release.channel.checks, release.system, variants)
    Check.objects.plan(release, names, gates=True)
