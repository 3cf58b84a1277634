"""Releases whose builds told how they were made."""

from __future__ import annotations

import json
from typing import Any

from builds.builders.how_made import Component, HowMade, Input
from builds.models import BuildRecord, Channel, Release
from builds.pipeline import naming
from builds.signing import opened
from builds.storage import artifacts
from builds.tests.downloads.conftest import ready_release
from builds.tests.factories import publish_held
from builds.tests.models.rows import NOW, channel

SYSTEM = "x86_64-linux"
PROVENANCE, SBOM = f"provenance-{SYSTEM}.intoto.jsonl", f"sbom-{SYSTEM}.cdx.json"
MANIFEST, INITRD = f"release-{SYSTEM}.json", f"initrd-{SYSTEM}"
REVISION = "ab" * 20
EMPTY = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
HOW = HowMade(
    inputs=(Input("nixpkgs", f"github:NixOS/nixpkgs/{REVISION}", EMPTY, REVISION),),
    settings={"sandbox": True, "substituters": ["https://cache.nixos.org/"]},
    closure="image",
    components=(
        Component(
            "nix",
            "glibc",
            "2.40",
            f"/nix/store/{'0' * 32}-glibc-2.40",
            nar_sha256="e3" * 32,
            size=9,
        ),
        Component("deb", "libc6", "2.36-9", "libc6_2.36-9_amd64.deb", sha256="ba" * 32),
    ),
)


def recorded_release(version: str = "1.0", of: Channel | None = None) -> Release:
    """A draft that is ready to be published, whose builds have a record."""
    found = of or Channel.objects.filter(name="demo").first() or channel(is_default=True)
    release = ready_release(found, version)
    for build in release.builds.all():
        BuildRecord.objects.note(build, HOW, log_sha256="cd" * 32)
    return release


def told_release(version: str = "1.0", of: Channel | None = None) -> Release:
    """The same, published: with provenance and SBOM."""
    release = recorded_release(version, of)
    publish_held(release, NOW)
    assert release.is_published, release.reason
    return release


def stored(release: Release, name: str) -> bytes:
    data = artifacts().read(release.key(name))
    assert data is not None, name
    return data


def statement_of(release: Release) -> dict[str, Any]:
    """What the stored provenance says."""
    said: dict[str, Any] = json.loads(opened(stored(release, PROVENANCE)).payload)
    return said


def named_in_manifest(release: Release) -> dict[str, dict[str, Any]]:
    told = json.loads(stored(release, naming.manifest_name(release.system)))
    return {each["name"]: each for each in told.get("documents", [])}
