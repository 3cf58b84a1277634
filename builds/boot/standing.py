"""How releases stand for booting: what may be loaded of each, or in words why it may not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from builds.boot.options import BootOptions
from builds.boot.script import Loading, loading
from builds.choices import ReleaseStatus, System
from builds.models import Damage, Head, Release

Loads = Callable[[Release], Loading | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """A release of one system; `netboot` is None where it may not be loaded, and `why` says so."""

    system: System
    release: Release
    netboot: Loading | None
    why: str = ""


def latest(channel: str | None = None) -> list[Standing]:
    """The latest release of each system, of one channel or of all; a fixed number of queries."""
    heads = Head.objects.with_files().order_by("channel__position", "channel__name", "system")
    found = heads if channel is None else heads.filter(channel__name=channel)
    return standings(head.release for head in found)


def of_version(channel: str, version: str) -> list[Standing]:
    """The releases of this name that were published once, one of each system."""
    found = Release.objects.named(channel, version).known_to_outside().with_files()
    return standings(found.order_by("system"))


def standings(releases: Iterable[Release], options: BootOptions | None = None) -> list[Standing]:
    """How each of them stands, where it is booted with these options."""
    known = list(releases)
    damaged = Damage.objects.names(known)
    return [
        _standing(release, damaged.get(release.pk, ()), options or BootOptions())
        for release in known
    ]


def what_became(release: Release) -> str:
    """Of a release that is not to be read any more, in words for behind its name."""
    if release.status == ReleaseStatus.EXPIRED:
        return "was removed: newer ones took its place"
    return f"was withdrawn: {release.reason}"


def _standing(release: Release, damaged: Collection[str], options: BootOptions) -> Standing:
    system = System(release.system)
    if not release.is_published:
        return Standing(system, release, None, f"{release} {what_became(release)}.")
    found = loading(release, options)
    if found is None:
        return Standing(system, release, None, f"{release} has no netboot.")
    broken = sorted({found.kernel, found.initrd} & set(damaged))
    if broken:
        why = f"{' and '.join(broken)} of {release}: damaged in the storage, not given out."
        return Standing(system, release, None, why)
    return Standing(system, release, found)
