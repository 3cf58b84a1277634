"""What people do to releases that are done: withdraw, roll back, keep, stop keeping."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from builds.choices import Act, System
from builds.models import Actor, AuditEntry, Channel, NotAllowed, Release
from builds.pipeline.publish import write_moving

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from builds.models import Head


def withdraw(release: Release, reason: str, *, by: User | Actor | None, at: datetime) -> None:
    """Take a published release back; its files answer 410. Raises NotAllowed."""
    with transaction.atomic():
        if not release.withdraw(reason, at=at):
            raise NotAllowed(f"{release} is {release.get_status_display()}: nothing was done.")
        _record(Act.WITHDRAW, release, by, at, reason)
    write_moving(release.channel.name)


def refusal_to_withdraw(release: Release) -> str:
    """Why `withdraw` would do nothing, as a sentence; "" where it would."""
    return "" if release.is_published else _not_published(release)


def roll_back(release: Release, reason: str, *, by: User | Actor | None, at: datetime) -> None:
    """Make an earlier published release the latest again, and rewrite what moves.

    The one that was the latest stays published under its own name. Raises NotAllowed.
    """
    with transaction.atomic():
        release.take_the_head(at=at)
        _record(Act.ROLL_BACK, release, by, at, reason)
    write_moving(release.channel.name)


def refusal_to_roll_back(release: Release) -> str:
    """Why `roll_back` would do nothing, as a sentence; "" where it would."""
    if not release.is_published:
        return _not_published(release)
    return f"{release} is the latest already." if release.heads.exists() else ""


def keep(release: Release, reason: str, *, by: User | Actor | None, at: datetime) -> None:
    """Keep a release's files for good, and let the storage know for a restore.

    Raises NotAllowed.
    """
    actor = Actor.of(by)
    with transaction.atomic():
        user = None if by is None or isinstance(by, Actor) else by
        if not release.keep(reason, by=user, at=at):
            raise NotAllowed(refusal_to_keep(release))
        _record(Act.KEEP, release, actor, at, reason)
    write_moving(release.channel.name)


def refusal_to_keep(release: Release) -> str:
    """Why `keep` would do nothing, as a sentence; "" where it would."""
    if release.is_kept:
        return f"{release} is kept for good already."
    is_gone = release.is_expired or release.files_removed_at is not None
    return f"{release} has no files left that could be kept." if is_gone else ""


def stop_keeping(
    release: Release, reason: str = "", *, by: User | Actor | None, at: datetime
) -> None:
    """Let its channel's rules hold for it again, and let the storage know for a restore.

    Raises NotAllowed.
    """
    with transaction.atomic():
        if not release.stop_keeping():
            raise NotAllowed(refusal_to_stop_keeping(release))
        _record(Act.STOP_KEEPING, release, by, at, reason)
    write_moving(release.channel.name)


def refusal_to_stop_keeping(release: Release) -> str:
    """Why `stop_keeping` would do nothing, as a sentence; "" where it would."""
    return "" if release.is_kept else f"{release} is not kept for good."


def before_head(channel: Channel, system: System) -> Release:
    """The published release before the latest one. Raises NotAllowed where there is none."""
    head = channel.heads.filter(system=system).select_related("release").first()
    if head is None:
        raise NotAllowed(f"{channel} has no published release for {system}")
    published = Release.objects.of(channel, system).published().exclude(pk=head.release_id)
    before = published.filter(sequence__lt=head.release.sequence).first()
    if before is None:
        raise NotAllowed(f"{channel} has no published release for {system} before {head.release}")
    return before


def head_without(release: Release) -> Release | None:
    """What would be the latest of its channel and system if this release were withdrawn."""
    head: Head | None = release.channel.heads.filter(system=release.system).first()
    if head is not None and head.release_id != release.pk:
        return head.release
    published = Release.objects.of(release.channel, release.system).published()
    return published.exclude(pk=release.pk).first()


def _not_published(release: Release) -> str:
    return f"{release} is {release.get_status_display()}, not published: nothing was done."


def _record(act: Act, release: Release, by: User | Actor | None, at: datetime, reason: str) -> None:
    AuditEntry.objects.record(act, release, by=Actor.of(by), at=at, reason=reason)
