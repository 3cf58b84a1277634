"""Two channels with stored releases, and files large enough to have several pieces."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

import pytest

from builds import pipeline
from builds.choices import BuildStatus, Role, System, Variant
from builds.models import Artifact, Channel, Release
from builds.storage import artifacts
from builds.tests.factories import (
    NOW,
    ArtifactFactory,
    ChannelFactory,
    ReleaseFactory,
    publish_held,
)

LARGE = 3 * 2**18 + 12345  # bytes: three pieces and a part
VARIANTS = (Variant.NETBOOT, Variant.KEXEC_INSTALLER, Variant.ISO)
ISO = "nixos-installer-x86_64-linux.iso"


@dataclass(frozen=True)
class Weeks:
    """The default channel with an old release, a new one on both systems, and another channel."""

    channel: Channel
    old: Release
    new: Release
    new_aarch64: Release
    other: Release

    def artifact(self, name: str) -> Artifact:
        """A file of the new release."""
        return self.new.artifacts.select_related("release__channel").get(name=name)


@pytest.fixture
def weeks(db: None) -> Weeks:
    """Rows only."""
    return _weeks(stored=False)


@pytest.fixture
def stored_weeks(db: None) -> Weeks:
    """With the files' bytes in the storage."""
    return _weeks(stored=True)


def _weeks(*, stored: bool) -> Weeks:
    channel = ChannelFactory(name="demo", is_default=True, variants=VARIANTS)
    old = ReleaseFactory(
        channel=channel, published=True, stored=stored, version="1.0", at=NOW - timedelta(days=9)
    )
    other = ReleaseFactory(
        channel__name="nixos-26.05", published=True, version="1.0", at=NOW - timedelta(days=3)
    )
    at = NOW - timedelta(days=2)
    both = [
        ReleaseFactory(
            channel=channel,
            system=system,
            published=True,
            stored=stored and system == System.X86_64,
            version="2.0",
            at=at,
        )
        for system in System
    ]
    return Weeks(channel, old, both[0], both[1], other)


@pytest.fixture
def large(db: None) -> Artifact:
    """A published ISO of some pieces, hashed."""
    channel = ChannelFactory(
        name="large",
        is_default=True,
        systems=(System.X86_64,),
        variants=(Variant.ISO,),
        checks=[],
    )
    release = ReleaseFactory(channel=channel, pinned=True, version="1.0")
    release.builds.update(status=BuildStatus.SUCCEEDED)
    artifact: Artifact = ArtifactFactory(
        release=release,
        build=release.builds.get(),
        role=Role.ISO,
        variant=Variant.ISO,
        content=random.Random(1).randbytes(LARGE),
        stored=True,
    )
    publish_held(release, NOW)
    assert pipeline.hash_pieces(at=NOW, rate=None, seconds=60)
    assert artifacts().exists(artifact.key)
    return Artifact.objects.select_related("release__channel").get(pk=artifact.pk)
