"""From a checked draft to the latest release."""

from __future__ import annotations

import logging
from datetime import datetime

from builds.choices import Role, Variant
from builds.models import Artifact, Build, LeaseLost, Release
from builds.pipeline import documents
from builds.storage import AlreadyStored, artifacts, channel_key

logger = logging.getLogger(__name__)


def publish(release: Release, *, at: datetime) -> bool:
    """Write the release's own papers, make it the latest, then rewrite what moves.

    Each step gives the same when it is done again, so that a publish that broke off is finished
    by publishing again. False where the release is no draft any more.
    """
    if not release.is_draft:
        return False
    release.number()
    write_script(release)
    try:
        write_papers(release)
    except LeaseLost:
        logger.warning("%s is published by another worker; this one stops", release)
        return False
    published = release.publish(at=at)
    if published:
        logger.info("published %s", release)
        write_moving(release.channel.name)
    return published


def write_script(release: Release) -> None:
    """Store the release's iPXE script and its row."""
    text = documents.boot_script(release, moving=False)
    if text is None:
        return
    name = documents.script_name(release.system)
    stored = artifacts().write_once(release.key(name), text)
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
    papers = {
        documents.sums_name(release.system): documents.release_sums(release),
        documents.manifest_name(release.system): documents.manifest(release),
    }
    for name, data in papers.items():
        key = release.key(name)
        try:
            artifacts().write_once(key, data)
        except AlreadyStored:
            # A publish that broke off before anybody could read it; a check has run since.
            artifacts().delete(key)
            artifacts().write_once(key, data)
    release.note_papers({name: documents.digest(data) for name, data in papers.items()})


def write_moving(channel: str) -> None:
    """Rewrite the files of a channel that move, from its heads, and remove those without one."""
    files = documents.moving_files(channel)
    for name in documents.moving_names():
        key = channel_key(channel, name)
        if name in files:
            artifacts().replace(key, files[name])
        else:
            artifacts().delete(key)


def is_told(channel: str) -> bool:
    """Whether the files that move say what the heads say."""
    files = documents.moving_files(channel)
    return all(
        artifacts().read(channel_key(channel, name)) == files.get(name)
        for name in documents.moving_names()
    )


def _netboot_build(release: Release) -> Build | None:
    kernel = release.artifacts.filter(role=Role.KERNEL).select_related("build").first()
    return kernel.build if kernel else None
