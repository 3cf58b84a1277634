"""What a front server may hand out without asking the portal: what is published, and what moves."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from builds.choices import System
from builds.models import Damage, Release
from builds.pipeline import naming
from builds.storage import ROOT, artifacts, channel_key


def show(channel: str) -> None:
    """Let the front server hand out what is published of a channel, and nothing else."""
    artifacts().show(_folder(channel), shown_files(channel))


def is_shown(channel: str) -> bool:
    """Whether the front server hands out just that."""
    return artifacts().shows(_folder(channel), shown_files(channel))


def show_moving(channel: str, files: Mapping[str, bytes]) -> None:
    """Let it hand out these files that move, by name, until the next head of the channel moves."""
    artifacts().show_moving(_folder(channel), _moving(channel, files))


def is_moving_shown(channel: str, files: Mapping[str, bytes]) -> bool:
    """Whether the front server hands out just that."""
    return artifacts().shows_moving(_folder(channel), _moving(channel, files))


def _moving(channel: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those that are asked for most, by key; deploy/nginx asks here for no others."""
    if not settings.X_ACCEL_REDIRECT:
        return {}
    asked = {naming.MOVING_SUMS, *naming.signature_names(naming.MOVING_SUMS)}
    asked |= {
        name(system) for system in System for name in (naming.latest_name, naming.script_name)
    }
    return {channel_key(channel, name): files[name] for name in asked & files.keys()}


def shown_files(channel: str) -> dict[str, str]:
    """The digests of all that never changes and is whole, by key; nothing without X-Accel-Redirect.

    Signatures are left to the portal: those of a stolen key are replaced.
    """
    if not settings.X_ACCEL_REDIRECT:
        return {}
    releases = Release.objects.published().filter(channel__name=channel)
    releases = releases.select_related("channel").prefetch_related("artifacts")
    damaged = Damage.objects.names(releases)
    return {
        release.key(name): sha256
        for release in releases
        for name, sha256 in _digests(release).items()
        if name not in damaged.get(release.pk, ())
    }


def _digests(release: Release) -> dict[str, str]:
    papers = {
        name: sha256 for name, sha256 in release.papers.items() if not naming.is_signature(name)
    }
    return papers | {artifact.name: artifact.sha256 for artifact in release.artifacts.all()}


def _folder(channel: str) -> str:
    return f"{ROOT}/{channel}"
