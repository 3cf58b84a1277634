"""Very many rows at once, to see how pages bear them: channels with years of weekly releases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from builds.choices import (
    BuildStatus,
    ReleaseStatus,
    Role,
    Stage,
    System,
    Trigger,
    Variant,
    Verdict,
)
from builds.models import Artifact, Build, Channel, Check, Head, HeadMove, Release, Target

WEEK = timedelta(days=7)
BATCH = 2000
RED_EVERY = 9  # one release in so many failed
WHOLE = 12  # all their builds, files and checks; older ones have one build
VARIANTS = (Variant.NETBOOT, Variant.KEXEC_INSTALLER)
MIB = 2**20


def make_crowd(channels: int, releases: int, *, at: datetime, whole: int = WHOLE) -> None:
    """So many channels on both systems with so many releases each, the newest of them published.

    Of each channel and system so many of the newest are `whole`.
    """
    made = Channel.objects.bulk_create(
        Channel(
            name=f"crowd-{number:02}",
            title=f"Channel {number} of a crowd",
            position=number,
            flake="path:images/mini",
            checks=["boot-netboot-direct"],
            marker="mini image is up: {system} {version}",
        )
        for number in range(channels)
    )
    Target.objects.bulk_create(
        Target(channel=channel, system=system, variant=variant, attribute=f"packages.{variant}")
        for channel in made
        for system in System
        for variant in VARIANTS
    )
    for channel in made:
        for system in System:
            _fill(channel, system, releases, at, whole)


def _fill(channel: Channel, system: System, count: int, at: datetime, whole: int) -> None:
    rows = [_release(channel, system, age, count, at) for age in range(count - 1, -1, -1)]
    kept = Release.objects.bulk_create(rows, batch_size=BATCH)
    newest = kept[-whole:]
    Build.objects.bulk_create(_builds(kept[:-whole], VARIANTS[:1]), batch_size=BATCH)
    builds = Build.objects.bulk_create(_builds(newest, VARIANTS), batch_size=BATCH)
    good = [release for release in newest if release.is_published]
    Artifact.objects.bulk_create(_artifacts(good, builds), batch_size=BATCH)
    Check.objects.bulk_create(
        (
            Check(
                release=release,
                name="boot-netboot-direct",
                verdict=Verdict.PASSED,
                seconds=8.2,
                accelerator="tcg",
                finished_at=release.published_at,
            )
            for release in good
        ),
        batch_size=BATCH,
    )
    Head.objects.create(channel=channel, system=system, release=good[-1], moved_at=at)
    HeadMove.objects.derive(channel, system)


def _release(channel: Channel, system: System, age: int, count: int, at: datetime) -> Release:
    revision = hashlib.sha1(f"{channel.name} {age}".encode(), usedforsecurity=False).hexdigest()
    ended = at - age * WEEK
    is_red = age % RED_EVERY == 1
    return Release(
        channel=channel,
        system=system,
        trigger=Trigger.SCHEDULE,
        status=ReleaseStatus.FAILED if is_red else ReleaseStatus.PUBLISHED,
        flake=f"github:example/images/{revision}",
        revision=revision,
        version=f"26.05.{ended:%Y%m%d}.{revision[:7]}",
        sequence=None if is_red else count - age,
        reason="netboot failed: The builder of initrd ended with exit code 1." if is_red else "",
        pinned_at=ended,
        published_at=None if is_red else ended,
        finished_at=ended,
    )


def _builds(releases: list[Release], variants: tuple[Variant, ...]) -> Iterator[Build]:
    for release in releases:
        for variant in variants:
            yield Build(
                release=release,
                variant=variant,
                attribute=f"packages.{release.system}.{variant}",
                status=BuildStatus.SUCCEEDED if release.is_published else BuildStatus.FAILED,
                stage=Stage.STORE if release.is_published else Stage.BUILD,
                stage_seconds={"evaluate": 21.4, "build": 842.0, "store": 48.2},
                started_at=_ended(release) - timedelta(minutes=15),
                finished_at=_ended(release),
                sandboxed=True,
                kernel_version="6.12.57",
                builder_version="nix (Nix) 2.28.5",
            )


def _artifacts(releases: list[Release], builds: list[Build]) -> Iterator[Artifact]:
    by_release: dict[int, dict[str, Build]] = {}
    for build in builds:
        by_release.setdefault(build.release_id, {})[build.variant] = build
    for release in releases:
        system = System(release.system)
        yield _artifact(release, Variant.NETBOOT, Role.INITRD, f"initrd-{system}", None)
        for variant, build in by_release.get(release.pk, {}).items():
            for role, name in _names(system)[Variant(variant)]:
                yield _artifact(release, Variant(variant), role, name, build)


def _names(system: System) -> dict[Variant, list[tuple[Role, str]]]:
    return {
        Variant.NETBOOT: [
            (Role.KERNEL, system.kernel_name),
            (Role.IPXE, f"netboot-{system}.ipxe"),
        ],
        Variant.KEXEC_INSTALLER: [(Role.TARBALL, f"nixos-kexec-installer-{system}.tar.gz")],
    }


def _artifact(
    release: Release, variant: Variant, role: Role, name: str, build: Build | None
) -> Artifact:
    digest = hashlib.sha256(f"{release.version} {name}".encode()).hexdigest()
    size = 400 * MIB + release.pk % MIB
    return Artifact(
        release=release,
        build=build,
        variant=variant,
        role=role,
        name=name,
        size=size,
        sha256=digest,
    )


def _ended(release: Release) -> datetime:
    assert release.finished_at is not None, "every release of a crowd has ended"
    return release.finished_at
