"""dnsmasq: iPXE over TFTP for each kind of machine, and then the script for its architecture."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from django.utils.translation import gettext

from builds.boot.addresses import moving_url
from builds.boot.commands import BootCommand, chained
from builds.boot.options import BootOptions
from builds.boot.script import composed_path
from builds.choices import Role, System
from builds.models import Release
from builds.pipeline.naming import script_name

FIELD_LIMIT = 127
"""Letters of a boot file in DHCP's fixed field (RFC 2131)."""

FOLDER = "/srv/tftp"

# Tag, the numbers of DHCP's option 93 (IANA, processor architecture types), iPXE's own file.
_MACHINES: dict[System, tuple[tuple[str, tuple[int, ...], str], ...]] = {
    System.X86_64: (
        ("x86-bios", (0,), "undionly.kpxe"),
        ("x86-uefi", (7, 9), "ipxe.efi"),
    ),
    System.AARCH64: (("arm-uefi", (11,), "ipxe-arm64.efi"),),
}
# The same firmware where it boots over HTTP instead.
_OVER_HTTP = {System.X86_64: ("x86-http", 16), System.AARCH64: ("arm-http", 19)}


def script_url(release: Release, options: BootOptions, base: str) -> str:
    """Where the script of the channel's latest release is, with the options if there are any."""
    if options == BootOptions():
        return moving_url(base, release.channel.name, script_name(release.system))
    return f"{base}{composed_path(release, options)}"


def commands(releases: Sequence[Release], options: BootOptions, base: str) -> list[BootCommand]:
    """The configuration; and what writes the scripts that it names, where addresses are too long
    for DHCP.
    """
    urls = {
        System(release.system): script_url(release, options, base)
        for release in releases
        if any(artifact.role == Role.IPXE for artifact in release.artifacts.all())
    }
    are_long = any(len(url) > FIELD_LIMIT for url in urls.values())
    named = {system: f"nixos-{system}.ipxe" for system in urls} if are_long else urls
    found = [_configuration(named)]
    if are_long:
        found.append(_scripts(named, urls))
    return found


def _configuration(boot_files: dict[System, str]) -> BootCommand:
    return BootCommand(
        method="dnsmasq",
        title="dnsmasq",
        text="\n".join(_configuration_lines(boot_files)),
        files=(),
        verifies=False,
        note=gettext(
            "For machines of your network that boot from their card. Put it into "
            "/etc/dnsmasq.d/nixos.conf, and iPXE's own files (Debian's package ipxe has those "
            "for PCs) into /srv/tftp; add your dhcp-range."
        ),
    )


def _configuration_lines(boot_files: dict[System, str]) -> Iterator[str]:
    yield from ("enable-tftp", f"tftp-root={FOLDER}", "dhcp-match=set:ipxe,175")
    for system, boot_file in boot_files.items():
        yield f"# {system}"
        for tag, numbers, loader in _MACHINES[system]:
            yield from (f"dhcp-match=set:{tag},option:client-arch,{number}" for number in numbers)
            yield f"dhcp-boot=tag:!ipxe,tag:{tag},{loader}"
            yield f"dhcp-boot=tag:ipxe,tag:{tag},{boot_file}"
        tag, number = _OVER_HTTP[system]
        yield "# by the firmware's HTTP boot, with a web server of yours that has iPXE's file:"
        yield f"#dhcp-match=set:{tag},option:client-arch,{number}"
        yield f"#dhcp-option-force=tag:{tag},60,HTTPClient"
        yield f"#dhcp-boot=tag:!ipxe,tag:{tag},http://SERVER/{_MACHINES[system][-1][2]}"
        yield f"#dhcp-boot=tag:ipxe,tag:{tag},{boot_file}"


def _scripts(names: dict[System, str], urls: dict[System, str]) -> BootCommand:
    lines = [
        f"printf '%s\\n' '#!ipxe' {shlex.quote(f'chain --autofree {url}')} "
        f"> {FOLDER}/{names[system]}"
        for system, url in urls.items()
    ]
    return BootCommand(
        method="dnsmasq_scripts",
        title=gettext("dnsmasq, scripts"),
        text=chained(lines),
        files=(),
        verifies=False,
        note=gettext(
            "DHCP's field takes 127 letters, and this address is longer: run this once on the "
            "machine with dnsmasq, which hands out these scripts."
        ),
    )
