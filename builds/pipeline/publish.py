"""From a checked draft to the latest release."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from builds.choices import Act, CheckName, Role, Variant
from builds.models import PORTAL, Actor, Artifact, AuditEntry, Build, Check, LeaseLost, Release
from builds.pipeline import documents, naming
from builds.pipeline.shown import is_moving_shown, is_shown, show, show_moving
from builds.pipeline.signatures import are_sums_signed, sign_papers, sign_sums
from builds.pipeline.store import settle
from builds.points import point
from builds.signing import NumberSpent, Refused, Stranger
from builds.storage import AlreadyStored, artifacts, channel_key

logger = logging.getLogger(__name__)

LOOKS = 3


# How long the storage or the signer may be away before a release that is ready fails.
PATIENCE = timedelta(hours=24)


def publish(release: Release, *, at: datetime, by: Actor = PORTAL) -> bool:
    """Write the release's own papers, make it the latest, then rewrite what moves.

    Each step gives the same when it is done again, so that a publish that broke off is finished
    by publishing again; `reconcile` does so where the storage failed. False where the release
    is no draft any more, or still one.
    """
    if not release.is_draft:
        return False
    try:
        _prepare(release)
    except OSError as error:
        _wait(release, error, at)
        return False
    except (LeaseLost, Stranger) as error:
        logger.warning("%s is published by another worker; this one stops: %s", release, error)
        return False
    except Refused as refusal:
        release.fail_as_holder(f"The signer refuses it: {refusal}", at=at)
        return False
    published = _publish(release, by, at)
    point("publish: committed")
    if published:
        logger.info("published %s", release)
        tell(release.channel.name)
    return published


def _publish(release: Release, by: Actor, at: datetime) -> bool:
    """Make it the latest, and let the checks wait that are not waited for."""
    with transaction.atomic():
        published = release.publish(at=at)
        if published:
            AuditEntry.objects.record(Act.PUBLISH, release, by=by, at=at)
        if published and settings.CHECK_LATER:
            variants = set(release.artifacts.values_list("variant", flat=True))
            gating = {check.name for check in release.checks.all()}
            wanted = release.channel.checks_after
            names = CheckName.planned(wanted, release.system, variants, release.origin)
            new = [name for name in names if name not in gating]
            Check.objects.plan(release, new, gates=False, holds_back=False)
    return published


def tell(channel: str) -> None:
    """Rewrite the files that move; `reconcile` does it later where the storage fails."""
    try:
        write_moving(channel)
    except OSError as error:
        logger.warning("the moving files of %s are written later: %s", channel, error)


def _prepare(release: Release) -> None:
    settle(release)
    release.number()
    point("publish: numbered")
    write_script(release)
    try:
        _write_and_sign(release)
    except NumberSpent as spent:
        # A publish that broke off was signed, or the database is older than the signer's ledger.
        logger.warning("%s gets another number: %s", release, spent)
        release.number_again(above=spent.newest)
        _write_and_sign(release)


def _write_and_sign(release: Release) -> None:
    write_papers(release)
    point("publish: papers written")
    sign_papers(release)


def _wait(release: Release, error: OSError, at: datetime) -> None:
    """Leave the draft to be published later, unless that has gone on for long."""
    ends = [*release.builds.values_list("finished_at", flat=True)]
    ends += release.checks.values_list("finished_at", flat=True)
    ready_at = max((end for end in ends if end is not None), default=at)
    logger.warning("%s is published later: %s", release, error)
    if at - ready_at <= PATIENCE:
        _say_why(release, error)
    else:
        release.fail_as_holder(f"It could not be published for a day: {error}", at=at)


def _say_why(release: Release, error: OSError) -> None:
    """Let its page tell what it waits for."""
    try:
        release.note_waiting(f"It is published as soon as that is possible: {error}")
    except LeaseLost:
        logger.warning("%s is published by another worker; this one stops", release)


def write_script(release: Release) -> None:
    """Store the release's iPXE script and its row."""
    text = documents.boot_script(release, moving=False)
    if text is None:
        return
    name = naming.script_name(release.system)
    stored = artifacts().write_once(release.key(name), text)
    point("publish: script stored")
    Artifact.objects.get_or_create(
        release=release,
        name=name,
        defaults={
            "build": _netboot_build(release),
            "variant": Variant.NETBOOT,
            "role": Role.IPXE,
            "size": stored.size,
            "sha256": stored.sha256,
        },
    )


def write_papers(release: Release) -> None:
    """Store the release's sums and manifest, and note their digests. Raises LeaseLost."""
    papers = documents.papers(release)
    for name, data in papers.items():
        point("publish: before a paper")
        key = release.key(name)
        try:
            artifacts().write_once(key, data)
        except AlreadyStored:
            # A publish that broke off before anybody could read it; a check has run since.
            release.beat()
            artifacts().replace(key, data)
    release.note_papers({name: documents.digest(data) for name, data in papers.items()})


def write_moving(channel: str) -> None:
    """Rewrite the files of a channel that move, from its heads, and remove those without one.

    First of all a front server is let see what is published now: a withdrawal is at once.

    Looks again afterwards: another head may have moved while this was writing. Where the signer
    is away the sums go without signatures, and `reconcile` does the rest.
    """
    for _ in range(LOOKS):
        show(channel)
        _show_moving(channel, documents.moving_files(channel))  # what waits for no signature
        is_signed = sign_sums(channel, at=timezone.now())
        files = documents.moving_files(channel)
        for name in naming.moving_names():
            point("publish: before a moving file")
            key = channel_key(channel, name)
            if name in files:
                artifacts().replace(key, files[name])
            else:
                artifacts().delete(key)
        point("publish: moving files written")
        if _show_moving(channel, files) and (not is_signed or is_told(channel)):
            return


def _show_moving(channel: str, files: Mapping[str, bytes]) -> bool:
    """Let a front server hand them out, if they are still right; else the portal answers."""
    show_moving(channel, files)
    point("publish: moving files shown")
    is_right = documents.moving_files(channel) == files
    if not is_right:
        show_moving(channel, {})
    return is_right


def is_told(channel: str) -> bool:
    """Whether the files that move say what the heads say, and nothing more."""
    files = documents.moving_files(channel)
    return (
        are_sums_signed(channel, at=timezone.now())
        and is_shown(channel)
        and is_moving_shown(channel, files)
        and all(
            artifacts().read(channel_key(channel, name)) == files.get(name)
            for name in naming.moving_names()
        )
    )


def _netboot_build(release: Release) -> Build | None:
    kernel = release.artifacts.filter(role=Role.KERNEL).select_related("build").first()
    return kernel.build if kernel else None
