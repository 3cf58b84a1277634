"""How each variant of a release is booted in QEMU here: the machine, and what is typed on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from builds.boot.options import BootOptions
from builds.boot.remote import Portal, PortalError, RemoteFile, RemoteRelease
from builds.choices import Role, System, Variant
from builds.emulator.machine import Firmware, Forward, Machine
from builds.storage import release_key

LINUX = "demo"
"""The channel of the small Linux from which kexec variants are booted."""

LINUX_IS_UP = r"mini image is up: "
_MIB = 1024 * 1024
# Its shell is there before its address is.
_ONLINE = "for i in $(seq 60); do ip route | grep -q ^default && break; sleep 1; done"
_ROLES = {
    Variant.NETBOOT: Role.KERNEL,
    Variant.ISO: Role.ISO,
    Variant.KEXEC_BUNDLE: Role.BUNDLE,
    Variant.KEXEC_INSTALLER: Role.TARBALL,
    Variant.KEXEC_INSTALLER_NONINTERACTIVE: Role.TARBALL,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be booted and how; `firmware` and `memory` (MiB) None: what suits it.

    `append` are kernel parameters, `ssh_port` one of this machine's that leads to the guest's
    ssh, 0 for none.
    """

    portal: Portal
    release: RemoteRelease
    variant: Variant
    firmware: Firmware | None = None
    memory: int | None = None
    append: str = ""
    ssh_port: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """A machine, what it does in one line, and what to type once its console shows a pattern."""

    machine: Machine
    how: str
    wait_for: str = ""
    then_type: str = ""


Fetch = Callable[[RemoteFile], Path]


def trial(wish: Wish, fetch: Fetch) -> Trial:
    """Work out the boot of a variant; `fetch` brings the files that QEMU itself reads.

    Raises PortalError where the portal lacks something, BadOptions where `append` holds what
    can't be passed on, ValueError where firmware and variant don't go together.
    """
    file = wish.release.file(_ROLES[wish.variant], wish.variant)
    # Loaders and kernel hold the image packed and unpacked.
    size = sum(each.size for each in wish.release.files if each.variant == wish.variant)
    usual = 768 + (1 if wish.variant == Variant.ISO else 4) * size // _MIB
    machine = Machine(
        wish.release.system,
        memory=wish.memory or max(1024, usual),
        firmware=Firmware.UEFI,
        forwards=(Forward(wish.ssh_port, 22),) if wish.ssh_port else (),
        isolated=False,
    )
    if wish.variant == Variant.NETBOOT:
        return _netboot(wish, machine, fetch)
    if wish.variant == Variant.ISO:
        return _iso(wish, machine, fetch(file))
    return _kexec(wish, machine, file, fetch)


def _netboot(wish: Wish, machine: Machine, fetch: Fetch) -> Trial:
    """By iPXE, where there is one for the system and the portal speaks what it understands."""
    is_pc = wish.release.system == System.X86_64
    usual = Firmware.BIOS if is_pc and wish.portal.speaks_http else Firmware.NONE
    firmware = wish.firmware or usual
    if firmware == Firmware.NONE or not is_pc:
        direct = _direct(machine, firmware, wish.release, wish.append, fetch)
        return Trial(direct, f"kernel and initrd of {wish.release}, loaded by QEMU")
    if not wish.portal.speaks_http:
        raise ValueError("iPXE can't load over HTTPS: leave --firmware out, and QEMU loads it")
    url = f"{wish.portal.url_for_guests}/{_script_path(wish)}"
    loader = replace(machine, firmware=firmware, bootfile=url, bios_on_serial=True)
    return Trial(loader, f"iPXE ({firmware}) loads {url}")


def _iso(wish: Wish, machine: Machine, iso: Path) -> Trial:
    if wish.append:
        raise ValueError("an ISO takes its kernel parameters from its own menu: no --append")
    is_pc = wish.release.system == System.X86_64
    firmware = wish.firmware or (Firmware.BIOS if is_pc else Firmware.UEFI)
    loader = replace(machine, firmware=firmware, cdrom=iso, bios_on_serial=True)
    return Trial(loader, f"{iso.name} as a CD ({firmware})")


def _kexec(wish: Wish, machine: Machine, file: RemoteFile, fetch: Fetch) -> Trial:
    """The mini image plays the running Linux; it downloads, verifies and runs as a person would."""
    if not wish.portal.speaks_http:
        raise PortalError(f"The mini image can't load from {wish.portal.url}: it has no HTTPS.")
    params = " ".join(BootOptions.parse({"params": wish.append}).kernel_params)
    linux = wish.portal.release(LINUX, wish.release.system)
    direct = _direct(machine, wish.firmware or Firmware.NONE, linux, "", fetch)
    name, url = file.name, f"{wish.portal.url_for_guests}/{quote(file.path)}"
    verified = f"wget {url} && echo '{file.sha256}  {name}' | sha256sum -c"
    run = f"sh {name}" if file.role == Role.BUNDLE else f"tar -xzf {name} && kexec/run"
    typed = f"{_ONLINE}; cd /root && {verified} && {run} --append '{params}'\n"
    return Trial(direct, f"{linux} runs, and kexecs into {wish.release}", LINUX_IS_UP, typed)


def _direct(
    machine: Machine, firmware: Firmware, release: RemoteRelease, append: str, fetch: Fetch
) -> Machine:
    if release.system == System.X86_64 and firmware == Firmware.UEFI:
        raise ValueError("a PC under UEFI can't be given a kernel here: leave --firmware out")
    return replace(
        machine,
        firmware=firmware,
        kernel=fetch(release.file(Role.KERNEL, Variant.NETBOOT)),
        initrd=fetch(release.file(Role.INITRD, Variant.NETBOOT)),
        append=" ".join(filter(None, (release.kernel_params, append))),
    )


def _script_path(wish: Wish) -> str:
    """The script of this very release, as the portal stores it or composes it."""
    release = wish.release
    if not wish.append:
        return release_key(release.channel, release.version, f"netboot-{release.system}.ipxe")
    segment = BootOptions.parse({"params": wish.append}).segment
    return f"boot/{release.channel}/{release.version}/{release.system}/{segment}/netboot.ipxe"
