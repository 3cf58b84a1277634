"""A channel with two published releases whose files are really stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from builds.choices import Role, System, Variant
from builds.models import Artifact, Channel, Release
from builds.storage import artifacts
from builds.tests.factories import publish_held
from builds.tests.models.rows import NOW, build, channel, draft
from builds.tests.tarballs import tarball

SYSTEM = System.X86_64


@dataclass(frozen=True)
class Weeks:
    """A channel and its releases of two weeks."""

    channel: Channel
    first: Release
    second: Release


def stored_release(of: Channel, version: str, system: System = SYSTEM) -> Release:
    """A published release with kernel, initrd, script and kexec tarball in the storage."""
    release = ready_release(of, version, system)
    publish_held(release, NOW)
    assert release.is_published, release.reason
    return release


def ready_release(of: Channel, version: str, system: System = SYSTEM) -> Release:
    """The same before it is published: a draft of which everything is built."""
    release = draft(of, system, version=version, revision="ab" * 20, pinned_at=NOW)
    netboot = build(release, status="succeeded", kernel_params="console=ttyS0", sandboxed=True)
    files = {
        system.kernel_name: (Role.KERNEL, Variant.NETBOOT),
        f"initrd-{system}": (Role.INITRD, Variant.NETBOOT),
        f"nixos-kexec-installer-{system}.tar.gz": (Role.TARBALL, Variant.KEXEC_INSTALLER),
    }
    for name, (role, variant) in files.items():
        data = f"{name} of {version} ".encode() * 100
        if role == Role.TARBALL:
            data = tarball(data)
        stored = artifacts().write_once(release.key(name), data)
        Artifact.objects.create(
            release=release,
            build=netboot,
            name=name,
            role=role,
            variant=variant,
            size=stored.size,
            sha256=hashlib.sha256(data).hexdigest(),
        )
    return release


@pytest.fixture
def weeks(db: None) -> Weeks:
    of = channel(is_default=True)
    return Weeks(of, stored_release(of, "1.0"), stored_release(of, "2.0"))
