"""What a front server may hand out without asking the portal: the files of published releases."""

from __future__ import annotations

from django.conf import settings

from builds.models import Damage, Release
from builds.pipeline import naming
from builds.storage import ROOT, artifacts


def show(channel: str) -> None:
    """Let the front server hand out what is published of a channel, and nothing else."""
    artifacts().show(_folder(channel), shown_files(channel))


def is_shown(channel: str) -> bool:
    """Whether the front server hands out just that."""
    return artifacts().shows(_folder(channel), shown_files(channel))


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
