"""What the tests of /k/ share: a release whose files a server of theirs gives, and the script."""

from __future__ import annotations

from django.test import Client

from builds.choices import Role, Variant
from builds.models import Channel, Release
from builds.tests.boot.rescue import Shop, tarball
from builds.tests.factories import ArtifactFactory, BuildFactory, publish_held
from builds.tests.models.rows import NOW, draft

NAME = "nixos-kexec-installer-x86_64-linux.tar.gz"
NONINTERACTIVE = "nixos-kexec-installer-noninteractive-x86_64-linux.tar.gz"
BUNDLE = "kexec-bundle-x86_64-linux"


def published(of: Channel, version: str, served: Shop, least: int | None = None) -> Release:
    """A release whose files the server has: two tarballs that leave a mark, and a bundle."""
    release = draft(of, version=version, revision="ab" * 20, pinned_at=NOW)
    build = BuildFactory(release=release, succeeded=True, variant=Variant.KEXEC_INSTALLER)
    mark = f"#!/bin/sh\necho '{version}' \"$@\" >> /ran\n"
    contents = {
        NAME: (Role.TARBALL, Variant.KEXEC_INSTALLER, tarball(mark)),
        NONINTERACTIVE: (
            Role.TARBALL,
            Variant.KEXEC_INSTALLER_NONINTERACTIVE,
            tarball(mark.replace("echo", "echo quietly")),
        ),
        BUNDLE: (Role.BUNDLE, Variant.KEXEC_BUNDLE, mark.replace("echo", "echo bundle").encode()),
    }
    for name, (role, variant, data) in contents.items():
        ArtifactFactory(
            release=release,
            build=build,
            name=name,
            role=role,
            variant=variant,
            content=data,
            least_memory=least,
            stored=True,
        )
        served.files[f"/{release.key(name)}"] = data
    publish_held(release, NOW)
    assert release.is_published, release.reason
    return release


def script(path: str = "/k/demo") -> str:
    response = Client().get(path)
    assert response.status_code == 200, response.content
    return response.content.decode()
