"""The lines that a person copies. They run as they are pasted, and verify before they run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext

from builds.boot.addresses import immutable_url, moving_url
from builds.choices import Role, Variant
from builds.models import Artifact, Release


@dataclass(frozen=True, slots=True)
class BootCommand:
    """One way to boot a release.

    `text` is what is copied; `files` what it downloads; `verifies` whether it checks the digest
    before anything runs; `note` one sentence on where to paste it.
    """

    method: str
    title: str
    text: str
    files: tuple[Artifact, ...]
    verifies: bool
    note: str


def boot_commands(release: Release, base: str, *, pinned: bool = False) -> list[BootCommand]:
    """Every way to boot this release that its artifacts allow, the usual one first.

    The address of the iPXE script is the one that moves on with the channel, since it is put
    into DHCP servers; `pinned` gives that of this very release.
    """
    artifacts = list(release.artifacts.all())
    tarball = _first(artifacts, Role.TARBALL, Variant.KEXEC_INSTALLER)
    script = _first(artifacts, Role.IPXE, Variant.NETBOOT)
    iso = _first(artifacts, Role.ISO, Variant.ISO)
    commands = []
    if tarball is not None:
        commands.append(_kexec(tarball, base))
    if script is not None:
        moving = moving_url(base, release.channel.name, script.name)
        commands.append(_ipxe(release, immutable_url(base, script) if pinned else moving))
    if iso is not None:
        commands.append(_iso(iso, base))
    if tarball is not None:
        commands.append(_nixos_anywhere(tarball, base))
    return commands


def verified_download(artifact: Artifact, base: str) -> list[str]:
    """Commands that bring a file into the current folder, and fail where it is not that file."""
    return [
        f"curl -fLO {shlex.quote(immutable_url(base, artifact))}",
        f'echo "{artifact.sha256}  {artifact.name}" | sha256sum -c -',
    ]


def kexec_lines(tarball: Artifact, base: str) -> list[str]:
    """Commands that download, verify, unpack and run; the last one is that which runs."""
    return [
        *verified_download(tarball, base),
        f"tar -xzf {tarball.name} -C /root",
        "/root/kexec/run",
    ]


def chained(lines: Iterable[str]) -> str:
    """One command of several, each of which runs only where the one before did not fail."""
    return " \\\n  && ".join(lines)


def _kexec(tarball: Artifact, base: str) -> BootCommand:
    return BootCommand(
        method="kexec",
        title="Kexec",
        text=chained(kexec_lines(tarball, base)),
        files=(tarball,),
        verifies=True,
        note=gettext(
            "Paste as root on the running Linux; it boots 6 seconds later and keeps its ssh keys."
        ),
    )


def _ipxe(release: Release, url: str) -> BootCommand:
    return BootCommand(
        method="ipxe",
        title="iPXE",
        text=f"chain --autofree {url}",
        files=tuple(a for a in release.artifacts.all() if a.role in {Role.KERNEL, Role.INITRD}),
        verifies=False,
        note=gettext(
            "Type at the iPXE prompt after “dhcp”, or put the address into your DHCP server. It "
            "loads kernel and initrd of one release, unverified."
        ),
    )


def _iso(iso: Artifact, base: str) -> BootCommand:
    lines = [
        *verified_download(iso, base),
        f"dd if={iso.name} of=/dev/sdX bs=4M conv=fsync",
    ]
    return BootCommand(
        method="iso",
        title="ISO",
        text=chained(lines),
        files=(iso,),
        verifies=True,
        note=gettext("Replace /dev/sdX by the stick; everything on it is lost."),
    )


def _nixos_anywhere(tarball: Artifact, base: str) -> BootCommand:
    """Of an address nixos-anywhere verifies nothing; a file it takes from here."""
    download = " && ".join(['cd "$T"', *verified_download(tarball, base)])
    install = f'--kexec "$T/{tarball.name}" --flake .#HOST root@ADDRESS'
    lines = [
        "T=$(mktemp -d)",
        f"({download})",
        f"nix run github:nix-community/nixos-anywhere -- {install}",
    ]
    return BootCommand(
        method="nixos_anywhere",
        title="nixos-anywhere",
        text=chained(lines),
        files=(tarball,),
        verifies=True,
        note=gettext(
            "Run on your own machine, in the folder of your flake: it brings the tarball there, "
            "verified, and nixos-anywhere hands it on to the target."
        ),
    )


def _first(artifacts: list[Artifact], role: Role, variant: Variant) -> Artifact | None:
    found = (a for a in artifacts if a.role == role and a.variant == variant)
    # Of several forms the gzip one: every rescue system can unpack it.
    return min(found, key=lambda artifact: not artifact.name.endswith(".gz"), default=None)
