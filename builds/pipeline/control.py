"""What people do to releases and builds that are not published: cancel, retry, publish."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from builds.choices import Act, BuildStatus, ReleaseStatus, System, Urgency, Variant
from builds.models import Actor, AuditEntry, Build, Channel, NotAllowed, Release
from builds.pipeline.advance import advance
from builds.pipeline.heartbeat import holding
from builds.pipeline.publish import publish, write_moving

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def cancel(row: Build | Release, reason: str, *, by: User | Actor | None, at: datetime) -> None:
    """Stop a build or a whole draft; a release is whole, so one build takes the others with it.

    What waits ends at once, what runs within seconds. Raises NotAllowed where all has ended.
    """
    with transaction.atomic():
        if isinstance(row, Build):
            _cancel_build(row, reason, at)
        elif not row.cancel(reason, at=at):
            raise NotAllowed(refusal_to_cancel(row))
        _record(Act.CANCEL, row, by, at, reason)


def _cancel_build(build: Build, reason: str, at: datetime) -> None:
    # The release first, as everybody locks it: its builds are cancelled below it.
    Release.objects.select_for_update(no_key=True).get(pk=build.release_id)
    build.refresh_from_db()
    if refusal := refusal_to_cancel(build):
        raise NotAllowed(refusal)
    build.cancel(reason, at=at)
    advance(build.release, at=at)


def refusal_to_cancel(row: Build | Release) -> str:
    """Why `cancel` would do nothing, as a sentence; "" where it would."""
    if isinstance(row, Release):
        stands = row.get_status_display()
        return "" if row.is_draft else f"{row} is {stands}: there is nothing to cancel."
    return f"Build {row.pk} has ended already: {row.get_status_display()}." if row.is_final else ""


def retry(row: Build | Release, *, by: User | Actor | None, at: datetime) -> Release:
    """Try again what keeps a release from being published, within the release; that release.

    Its version and the files of what succeeded stay. Of one build all that failed or was stopped
    with it is tried again, because a release is whole. Checks that passed stand, unless a build
    gives new files. Raises NotAllowed.
    """
    release = row.release if isinstance(row, Build) else row
    if isinstance(row, Build):
        _refuse_if_succeeded(row)
    with transaction.atomic():
        if release.is_draft:
            release.hurry(Urgency.ADMIN)
        else:
            if refusal := _refusal_to_reopen(release):
                raise NotAllowed(refusal)
            release.reopen()
            _try_again(release)
        _record(Act.RETRY, row, by, at)
    return release


def refusal_to_retry(row: Build | Release) -> str:
    """Why `retry` would do nothing, as a sentence; "" where it would."""
    if isinstance(row, Release):
        return "" if _is_waiting_to_retry(row) else _refusal_to_reopen(row)
    if row.status in {BuildStatus.SUCCEEDED, BuildStatus.RUNNING}:
        return f"Build {row.pk} is {row.get_status_display()}: there is nothing to retry."
    if row.status == BuildStatus.QUEUED:
        return "" if row.retry_at is not None else f"Build {row.pk} waits for a worker already."
    return refusal_to_retry(row.release)


def retry_variant(
    channel: Channel, system: System, variant: Variant, *, by: User | Actor | None, at: datetime
) -> Release:
    """Try one variant again in the newest release, which failed for want of it.

    Raises NotAllowed where the newest release does not wait for that variant.
    """
    name = f"{channel} for {system}"
    newest = Release.objects.of(channel, system).order_by("-created_at", "-pk").first()
    if newest is None or newest.pinned_at is None:
        raise NotAllowed(f"{name} has no release in which {variant} could be retried; leave it out")
    build = newest.builds.filter(variant=variant).order_by("-attempt").first()
    if build is None:
        raise NotAllowed(f"{variant} is not part of {newest}")
    if newest.is_published:
        raise NotAllowed(
            f"{newest} is published and never changes; leave the variant out and add --force for "
            "a new release"
        )
    return retry(build, by=by, at=at)


def publish_now(release: Release, *, by: User | Actor | None, at: datetime) -> bool:
    """Finish the publish of a release that has passed everything; false where it was finished.

    Raises NotAllowed where something is missing; the text says what.
    """
    if release.is_published:
        write_moving(release.channel.name)
        return False
    if refusal := refusal_to_publish(release):
        raise NotAllowed(refusal)
    with holding(release, "by hand") as is_ours:
        if not is_ours or not publish(release, at=at, by=Actor.of(by)):
            release.reread()
            # Storage or signer may be away, or the signer refuses it.
            raise NotAllowed(release.reason or f"A worker is publishing {release} right now.")
    return True


def refusal_to_publish(release: Release) -> str:
    """Why a draft can't be published by hand now, as a sentence; "" where it can."""
    if not release.is_draft:
        stands = release.get_status_display()
        return f"{release} is {stands}; only a finished draft can be published."
    if release.pinned_at is None:
        return f"{release} is not planned yet: nothing of it is built."
    waiting = [
        build.variant
        for build in release.builds.newest_per_variant()
        if build.status != BuildStatus.SUCCEEDED
    ] + [check.name for check in release.checks.in_the_way()]
    if waiting:
        return f"{release} is not finished: it waits for {', '.join(waiting)}."
    return f"A worker is publishing {release} right now." if release.is_held else ""


def _try_again(release: Release) -> None:
    newest = release.builds.newest_per_variant()
    broken = [build for build in newest if build.status != BuildStatus.SUCCEEDED]
    for build in broken:
        build.again(by_hand=True)
    checks = release.checks.all()
    (checks if broken else checks.not_passed()).reset()


def _refusal_to_reopen(release: Release) -> str:
    """Why what failed of an ended release can't be tried again, "" where it can."""
    name = f"{release.channel} for {release.system}"
    same = Release.objects.of(release.channel, release.system)
    if release.status not in {ReleaseStatus.FAILED, ReleaseStatus.CANCELLED}:
        return f"{release} is {release.get_status_display()}: there is nothing to retry."
    if release.was_skipped:
        return f"{release.reason} Rebuild {name} instead: that happens in any case."
    if same.published().filter(published_at__gt=release.created_at).exists():
        return f"A newer release of {name} is published; trigger a new one instead."
    if same.drafts().exists():
        return f"Another release of {name} is in the making; cancel that one, or wait for it."
    if release.builds.active().exists():
        return "A build of it is still being stopped; ask again in a few seconds."
    return ""


def _is_waiting_to_retry(release: Release) -> bool:
    postponed = (release.builds.queued(), release.checks.waiting())
    return release.is_draft and (
        release.retry_at is not None
        or any(rows.filter(retry_at__isnull=False).exists() for rows in postponed)
    )


def _refuse_if_succeeded(build: Build) -> None:
    succeeded = build.release.builds.succeeded().filter(variant=build.variant).first()
    if succeeded is None:
        return
    broken = [
        other.variant
        for other in build.release.builds.newest_per_variant()
        if other.status != BuildStatus.SUCCEEDED
    ]
    held = f"; what is missing of its release is {', '.join(broken)}" if broken else ""
    raise NotAllowed(f"{build.variant} succeeded in build {succeeded.pk}{held}.")


def _record(
    act: Act, row: Build | Release, by: User | Actor | None, at: datetime, reason: str = ""
) -> None:
    AuditEntry.objects.record(act, row, by=Actor.of(by), at=at, reason=reason)
