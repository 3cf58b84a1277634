"""How much RAM the machine of a check gets: what the image says it needs, or was measured to."""

from __future__ import annotations

from builds.choices import CheckName, Role, Variant
from builds.models import Artifact, Check, Release

MIB = 1024 * 1024
STEP = 32
# What a loader needs beside the image: firmware, the files that it fetches.
_FIRMWARE = 128
_UNKNOWN = 512


def memory_for(release: Release, variant: Variant) -> int:
    """MiB for the machine that boots a variant of a release.

    What the image declares, or what its forerunner was measured to need with a quarter on top,
    whichever is more; without either it is guessed from the files, which the kernel holds packed
    and unpacked. On top goes what firmware and loaders hold while they load.
    """
    files = list(release.artifacts.filter(variant=variant).exclude(role=Role.IPXE))
    # A tarball comes in several forms, of which one is loaded.
    largest: dict[str, int] = {}
    for file in files:
        largest[file.role] = max(file.size, largest.get(file.role, 0))
    size = sum(largest.values()) // MIB + 1
    builds = (file.build for file in files)
    declared = max((build.declared_memory or 0 for build in builds if build), default=0)
    measured = (last_measured(release, variant) or 0) * 5 // 4
    needed = max(declared, measured) or _UNKNOWN + 5 * size
    return rounded(needed + _FIRMWARE + (0 if variant == Variant.ISO else 2 * size))


def note_least_memory(check: Check, memory: int | None) -> None:
    """Write what a check has measured to the files it booted; other checks measure nothing."""
    if check.name not in CheckName.values or not CheckName(check.name).measures:
        return
    files = check.release.artifacts.filter(variant=CheckName(check.name).variant)
    files.exclude(role__in=[Role.KERNEL, Role.IPXE]).update(least_memory=memory)


def last_measured(release: Release, variant: Variant) -> int | None:
    """The least RAM, in MiB, that the newest release before this one was measured to need."""
    before = Release.objects.of(release.channel, release.system).known_to_outside()
    measured = Artifact.objects.filter(
        release__in=before, variant=variant, least_memory__isnull=False
    )
    newest = measured.exclude(release=release).order_by("-release__published_at").first()
    return newest.least_memory if newest else None


def rounded(memory: float) -> int:
    """MiB, up to a whole number of steps."""
    return -int(-memory // STEP) * STEP
