"""The latest of a channel as Fedora CoreOS stream metadata, `/streams/<channel>.json`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from builds.boot.addresses import base_url, immutable_url
from builds.choices import Role, System, Variant
from builds.feeds.answers import for_programs, json_answer, no_channel
from builds.models import Artifact, Channel, Head, Release

# Platform, format and the file's name in it. A kexec is no platform of Fedora's; readers take
# platforms and formats as they come.
_PLACES = {
    (Variant.ISO, Role.ISO): ("metal", "iso", "disk"),
    (Variant.NETBOOT, Role.KERNEL): ("metal", "pxe", "kernel"),
    (Variant.NETBOOT, Role.INITRD): ("metal", "pxe", "initramfs"),
    (Variant.NETBOOT, Role.IPXE): ("metal", "pxe", "ipxe"),
    (Variant.KEXEC_INSTALLER, Role.TARBALL): ("kexec", "tar", "tarball"),
    (Variant.KEXEC_INSTALLER_NONINTERACTIVE, Role.TARBALL): (
        "kexec-noninteractive",
        "tar",
        "tarball",
    ),
    (Variant.KEXEC_BUNDLE, Role.BUNDLE): ("kexec", "bundle", "executable"),
}


@for_programs
def stream(request: HttpRequest, channel: str) -> HttpResponseBase:
    """The latest release of a channel on each architecture."""
    row = Channel.objects.filter(name=channel).first()
    if row is None:
        return no_channel(channel)
    offered = Head.objects.to_offer().filter(channel=row)
    heads = list(offered.prefetch_related("release__artifacts"))
    moved_at = max((head.moved_at for head in heads), default=row.created_at)
    record = stream_record(channel, heads, base_url(request), modified_at=moved_at)
    return json_answer(request, record, modified_at=moved_at)


def stream_record(
    channel: str, heads: Iterable[Head], base: str, *, modified_at: datetime
) -> dict[str, Any]:
    """The shape of coreos/stream-metadata-go; `signature` is left out as files have none."""
    return {
        "stream": channel,
        "metadata": {
            "last-modified": f"{modified_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "generator": f"nixos-images-portal {settings.VERSION}",
        },
        "architectures": {
            System(head.system).architecture: {"artifacts": _platforms(head.release, base)}
            for head in heads
        },
    }


def _platforms(release: Release, base: str) -> dict[str, Any]:
    platforms: dict[str, Any] = {}
    for artifact in release.artifacts.all():
        platform, form, name = _place(artifact)
        of = platforms.setdefault(platform, {"release": release.version, "formats": {}})
        of["formats"].setdefault(form, {})[name] = {
            "location": immutable_url(base, artifact),
            "sha256": artifact.sha256,
        }
    return platforms


def _place(artifact: Artifact) -> tuple[str, str, str]:
    """Where an artifact stands; a tarball's format is how its name ends: tar.gz, tar.xz."""
    platform, form, name = _PLACES[Variant(artifact.variant), Role(artifact.role)]
    if form == "tar":
        form = f"tar.{artifact.name.rpartition('.')[2]}"
    return platform, form, name
