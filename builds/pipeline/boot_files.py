"""What iPXE verifies by: scripts that check kernel and initrd, and what is signed for imgverify."""

from __future__ import annotations

from django.template.loader import render_to_string

from builds.choices import Role
from builds.models import Release
from builds.pipeline import documents, naming


def scripts(release: Release, *, moving: bool) -> dict[str, bytes]:
    """By their names one that verifies signatures, and one that verifies digests.

    There is none where there is no netboot. Their URLs are as relative as the usual script's.
    """
    netboot = documents.netboot_of(release)
    if netboot is None:
        return {}
    digests = {f"{name}_sha256": sha256 for name, sha256 in _digests(release).items()}
    folder = f"{release.version}/" if moving else ""
    context = {"release": release, "folder": folder, **netboot, **digests}
    return {
        naming.verifying_name(release.system, kind): render_to_string(
            f"boot/{kind}.ipxe", context
        ).encode()
        for kind in naming.VERIFYING
    }


def to_sign(release: Release) -> dict[str, str]:
    """What imgverify may be asked of a release: digests by the files' names."""
    made = scripts(release, moving=False)
    if not made:
        return {}
    boots = (Role.KERNEL, Role.INITRD, Role.IPXE)
    files = {file.name: file.sha256 for file in release.artifacts.all() if file.role in boots}
    return files | {name: documents.digest(data) for name, data in made.items()}


def _digests(release: Release) -> dict[str, str]:
    boots = (Role.KERNEL, Role.INITRD)
    return {file.role: file.sha256 for file in release.artifacts.all() if file.role in boots}
