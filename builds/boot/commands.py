"""The lines that a person copies. They run as they are pasted, and verify before they run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.urls import reverse
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
    tarball = first_artifact(artifacts, Role.TARBALL, Variant.KEXEC_INSTALLER)
    script = first_artifact(artifacts, Role.IPXE, Variant.NETBOOT)
    iso = first_artifact(artifacts, Role.ISO, Variant.ISO)
    commands = []
    if tarball is not None:
        commands.append(_kexec(tarball, base))
        commands += _kexec_script(release, tarball, base, pinned=pinned)
    if script is not None:
        moving = moving_url(base, release.channel.name, script.name)
        commands.append(_ipxe(release, immutable_url(base, script) if pinned else moving))
        commands.append(_ipxe_channel(release, base, pinned=pinned))
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


def _kexec_script(
    release: Release, tarball: Artifact, base: str, *, pinned: bool
) -> Iterator[BootCommand]:
    """None of a tarball that the script does not take."""
    if not tarball.name.endswith(".gz"):
        return
    yield BootCommand(
        method="kexec_script",
        title="curl | sh",
        text=f"curl -fsSL {base}{_path('kexec-script', release, pinned=pinned)} | sh",
        files=(tarball,),
        verifies=True,
        note=gettext(
            "Paste as root on the running Linux. The script picks the architecture, checks the "
            "machine, goes on with broken downloads and verifies the digest; “wget -qO-” does as "
            "well as curl. It is as trustworthy as the connection that it comes over."
        ),
    )


def _ipxe_channel(release: Release, base: str, *, pinned: bool) -> BootCommand:
    return BootCommand(
        method="ipxe_channel",
        title=gettext("iPXE, any architecture"),
        text=f"chain --autofree {base}{_path('channel-script', release, pinned=pinned)}",
        files=tuple(a for a in release.artifacts.all() if a.role in {Role.KERNEL, Role.INITRD}),
        verifies=False,
        note=gettext(
            "The same for machines of any architecture: the script picks by itself. A menu of all "
            "channels is at /boot.ipxe."
        ),
    )


def _path(script: str, release: Release, *, pinned: bool) -> str:
    """The path of a script that is made for all systems: of the channel, or of this version."""
    if pinned:
        return reverse(f"pinned-{script}", args=[release.channel.name, release.version])
    return reverse(script, args=[release.channel.name])


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


def first_artifact(artifacts: list[Artifact], role: Role, variant: Variant) -> Artifact | None:
    """Of a release's files the one of this role and variant, the gzip form of several."""
    found = (a for a in artifacts if a.role == role and a.variant == variant)
    # Of several forms the gzip one: every rescue system can unpack it.
    return min(found, key=lambda artifact: not artifact.name.endswith(".gz"), default=None)
