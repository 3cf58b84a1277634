"""Leading a draft to a state: each step through the models' own verbs, as the pipeline takes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from builds import pipeline
from builds.builders.base import Pin
from builds.choices import BuildStatus, Origin, Role, Stage, Variant, Verdict
from builds.models import Head, Release, Target
from builds.pipeline import documents, naming
from builds.tests.factories.rows import (
    ArtifactFactory,
    BuildFactory,
    CheckFactory,
    file_name,
    hex_of,
)

_ROLES = {
    Variant.NETBOOT: (Role.KERNEL, Role.INITRD),
    Variant.KEXEC_INSTALLER: (Role.TARBALL,),
    Variant.KEXEC_INSTALLER_NONINTERACTIVE: (Role.TARBALL,),
    Variant.KEXEC_BUNDLE: (Role.BUNDLE,),
    Variant.ISO: (Role.ISO,),
}


def lead(release: Release, *, state: str, at: datetime, reason: str, **how: Any) -> None:
    """Bring a draft to the state that is wanted."""
    if state == "draft":
        return
    if state == "cancelled":
        release.cancel(reason, at=at)
        return
    if state == "skipped":
        head = Head.objects.of(release.channel.name, release.system)
        revision = head.release.revision if head else hex_of(release.channel.name, 40)
        reason = f"The revision {revision[:7]} has not moved since the last release."
        release.skip(revision, reason, at=at)
        return
    _pin(release, how["version"], at, queue=how["queue"])
    if state == "pinned":
        return
    if state == "failed":
        _fail(release, reason, how["excerpt"], at)
        return
    finish(release, at, stored=how["stored"], sandboxed=how["sandboxed"], sizes=how["sizes"])
    if state == "finished":
        return
    _publish(release, at, stored=how["stored"])
    if state == "withdrawn":
        release.withdraw(reason, at=at + timedelta(hours=1))


def _pin(release: Release, version: str, at: datetime, *, queue: bool) -> None:
    pin = Pin(
        flake=f"github:example/images/{hex_of(version, 40)}",
        overrides={},
        revision=hex_of(version, 40),
        nar_hash=f"sha256-{hex_of(version, 44)}",
        version=version,
        source=release.source,
    )
    release.pin(pin, at=at - timedelta(minutes=18), origin=Origin(release.origin))
    if not queue:
        return
    for target in Target.objects.of(release.channel, release.system):
        BuildFactory(release=release, variant=target.variant, attribute=target.attribute)
    for name in release.channel.checks:
        CheckFactory(release=release, name=name)


def _fail(release: Release, reason: str, excerpt: str, at: datetime) -> None:
    release.builds.update(
        status=BuildStatus.FAILED,
        stage=Stage.BUILD,
        stage_seconds={"evaluate": 21.4},
        error=reason,
        excerpt=excerpt,
        started_at=at - timedelta(minutes=17),
        finished_at=at,
    )
    release.fail(reason, excerpt, at=at)


def finish(
    release: Release,
    at: datetime,
    *,
    stored: bool = True,
    sandboxed: bool = True,
    sizes: Mapping[Role, int] = MappingProxyType({}),
) -> None:
    """Let every build of a pinned draft have left its files, and every check have passed."""
    release.builds.update(
        status=BuildStatus.SUCCEEDED,
        stage=Stage.STORE,
        stage_seconds={"evaluate": 21.4, "build": 842.0, "store": 48.2},
        started_at=at - timedelta(minutes=17),
        finished_at=at - timedelta(minutes=2),
        sandboxed=sandboxed,
        kernel_version="6.12.57",
        builder_version="nix (Nix) 2.8.0",
    )
    for build in release.builds.all():
        for role in _ROLES[Variant(build.variant)]:
            size = {"size": sizes[role]} if role in sizes and not stored else {}
            ArtifactFactory(
                release=release,
                build=build,
                variant=build.variant,
                role=role,
                name=file_name(role, release.system, build.variant),
                stored=stored,
                **size,
            )
    release.checks.update(verdict=Verdict.PASSED, seconds=8.2, accelerator="tcg")


def _publish(release: Release, at: datetime, *, stored: bool) -> None:
    if stored:
        publish_held(release, at)
        return
    release.number()
    _add_script(release)
    release.publish(at=at)


def publish_held(release: Release, at: datetime) -> None:
    """Publish a draft as a worker does: under a lease of its own, without its heartbeat."""
    assert release.hold("factory")
    pipeline.publish(release, at=at)
    release.let_go()


def _add_script(release: Release) -> None:
    script = documents.boot_script(release, moving=False)
    if script is not None:
        name = naming.script_name(release.system)
        ArtifactFactory(release=release, role=Role.IPXE, name=name, content=script)
