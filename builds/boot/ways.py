"""Every way to boot a release with options: what a person copies, each in its own syntax."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext

from builds.boot import configurations, dnsmasq
from builds.boot.commands import BootCommand, boot_commands, chained, kexec_lines
from builds.boot.dnsmasq import script_url
from builds.boot.netboot import Netboot
from builds.boot.options import BootOptions
from builds.models import Release

NETWORK = ("addresses", "gateways", "nameservers", "card")
EVERYTHING = ("keys", "hostname", *NETWORK, "consoles", "params")


@dataclass(frozen=True, slots=True)
class Way:
    """A text to copy; `without` are the fields of BootOptions that it can't hand over."""

    command: BootCommand
    without: tuple[str, ...] = ()


def ways(release: Release, options: BootOptions, base: str, alike: Sequence[Release]) -> list[Way]:
    """Every way that the release's artifacts allow, the usual one first.

    `alike` are the releases that a DHCP server tells apart by the machine's architecture: the
    channel's latest of every system. Give all of them `with_files()`.
    """
    usual = {command.method: command for command in boot_commands(release, base)}
    netboot = Netboot.of(release, options, base)
    found: list[Way] = []
    if "kexec" in usual:
        kexec = chained(_kexec_lines(usual["kexec"], options, base))
        found.append(Way(replace(usual["kexec"], text=kexec), NETWORK))
    if "kexec_script" in usual:
        found.append(_piped(usual["kexec_script"], options))
    if "ipxe" in usual:
        text = f"chain --autofree {script_url(release, options, base)}"
        found.append(Way(replace(usual["ipxe"], text=text)))
        found.append(Way(usual["ipxe_channel"], EVERYTHING))
    found += [Way(usual[each], EVERYTHING) for each in ("iso", "nixos_anywhere") if each in usual]
    if "ipxe" in usual:
        found += [Way(command) for command in dnsmasq.commands(alike, options, base)]
    if netboot is not None:
        found += [Way(make(netboot)) for make in configurations.OF_NETBOOT]
    if "kexec" in usual:
        found += _elsewhere(usual["kexec"], options, base)
    return found


def _elsewhere(kexec: BootCommand, options: BootOptions, base: str) -> list[Way]:
    """What runs kexec on a machine that another program makes."""
    lines = _kexec_lines(kexec, options, base)
    return [
        Way(configurations.cloud_init(kexec, lines), NETWORK),
        Way(configurations.terraform(kexec, base), EVERYTHING),
    ]


def _kexec_lines(usual: BootCommand, options: BootOptions, base: str) -> list[str]:
    """The usual commands; kexec/run itself hands over root's keys and the network as it is."""
    (tarball,) = usual.files
    *before, run = kexec_lines(tarball, base)
    return [*before, *_key_lines(options), run + _append(options)]


def _piped(usual: BootCommand, options: BootOptions) -> Way:
    """The line with the script; its own arguments come behind `sh -s --`."""
    append = _append(options)
    line = f"{usual.text} -s --{append}" if append else usual.text
    return Way(replace(usual, text=chained([*_key_lines(options), line])), NETWORK)


def _append(options: BootOptions) -> str:
    """The argument of kexec/run for the kernel's line, "" where there is nothing to say."""
    words = [*options.kernel_params]
    if options.hostname:
        words.append(f"systemd.hostname={options.hostname}")
    return f" --append {shlex.quote(' '.join(words))}" if words else ""


def _key_lines(options: BootOptions) -> Iterator[str]:
    if options.keys:
        yield "mkdir -p -m 700 /root/.ssh"
    for key in options.keys:
        yield f"echo {shlex.quote(key)} >> /root/.ssh/authorized_keys"


def titles() -> dict[str, str]:
    """What a form offers, by the method's name, in the order of `ways`."""
    return {
        "kexec": "Kexec",
        "kexec_script": "curl | sh",
        "ipxe": "iPXE",
        "ipxe_channel": gettext("iPXE, any architecture"),
        "iso": "ISO",
        "nixos_anywhere": "nixos-anywhere",
        "dnsmasq": "dnsmasq",
        "pixiecore": "pixiecore",
        "pixiecore_api": gettext("pixiecore, API"),
        "grub": "GRUB",
        "qemu": "QEMU",
        "cloud_init": "cloud-init",
        "terraform": "Terraform",
    }
