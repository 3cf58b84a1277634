"""The least rows that a constraint needs around it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from builds.choices import System, Trigger, Variant
from builds.models import Artifact, Build, Channel, Release

NOW = datetime(2026, 11, 22, 3, 12, 9, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4


def channel(name: str = "demo", **fields: Any) -> Channel:
    return Channel.objects.create(name=name, title=name, flake="path:images/mini", **fields)


def draft(of: Channel, system: str = System.X86_64, **fields: Any) -> Release:
    return Release.objects.create(channel=of, system=system, trigger=Trigger.ADMIN, **fields)


def published(of: Channel, version: str, **fields: Any) -> Release:
    release = draft(of, version=version, **fields)
    release.number()
    assert release.publish(at=NOW)
    return release


def build(of: Release, variant: str = Variant.NETBOOT, **fields: Any) -> Build:
    return Build.objects.create(release=of, variant=variant, attribute="x", **fields)


def artifact(of: Release, name: str = "initrd-x86_64-linux", **fields: Any) -> Artifact:
    values = {"size": 5, "sha256": DIGEST, "role": "initrd", "variant": "netboot"} | fields
    return Artifact.objects.create(release=of, name=name, **values)
