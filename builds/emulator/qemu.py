"""Puts a machine into QEMU's words."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from builds.choices import System
from builds.emulator.machine import Firmware, Machine

# Debian's places; the first that exists is taken.
_OVMF_CODE = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd")
_OVMF_VARS = ("/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd")
_AAVMF = ("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "/usr/share/AAVMF/AAVMF_CODE.fd")
_IPXE_EFI = ("/usr/lib/ipxe/ipxe.efi", "/usr/share/ipxe/ipxe.efi")
_FIRST_SERIAL_PORT = 0x3F8


# Bytes, with the one that ends it (RFC 951).
_BOOTP_FILE_FIELD = 128


class FirmwareMissingError(Exception):
    """A firmware file that the machine needs is not installed; the message names its package."""


def program(system: System) -> str:
    """The emulator of a system."""
    return f"qemu-system-{system.architecture}"


def command(
    machine: Machine, accelerator: str, folder: Path, console: int, monitor: int
) -> list[str]:
    """The command that starts a machine, paused.

    `folder` takes what must be written for it; `console` and `monitor` are descriptors of
    sockets that QEMU inherits: the first serial port, and its own protocol QMP. Raises
    FirmwareMissingError.
    """
    return [
        program(machine.system),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-S", "-display", "none"),
        *board(machine.system, accelerator),
        *("-m", str(machine.memory), "-smp", str(machine.cpus)),
        *("-device", "virtio-rng-pci"),
        *_socket("console", console),
        *("-serial", "chardev:console"),
        *_socket("monitor", monitor),
        *("-mon", "chardev=monitor,mode=control"),
        *_firmware(machine, folder),
        *_boot(machine),
        *_drives(machine),
        *_network(machine, folder),
    ]


def board(system: System, accelerator: str) -> Iterator[str]:
    """The options for the board and the processor of a system."""
    yield from ("-accel", accelerator)
    kvm = accelerator == "kvm"
    if system == System.AARCH64:
        yield from ("-M", "virt,gic-version=host" if kvm else "virt")
        yield from ("-cpu", "host" if kvm else "cortex-a57")
    else:
        # Its own display, so that there is something to take a picture of.
        # An emulated HPET loses ticks on a loaded host, and kernels that count by it stand still.
        yield from ("-M", "pc" if kvm else "pc,hpet=off", "-vga", "std")
        yield from ("-cpu", "host" if kvm else "qemu64")


def _socket(name: str, descriptor: int) -> tuple[str, str]:
    return "-chardev", f"socket,id={name},fd={descriptor}"


def _firmware(machine: Machine, folder: Path) -> Iterator[str]:
    if machine.bios_on_serial and machine.firmware != Firmware.UEFI:
        port = folder / "serial-port"
        port.write_bytes(_FIRST_SERIAL_PORT.to_bytes(8, "little"))
        yield from ("-fw_cfg", f"name=etc/sercon-port,file={_value(port)}")
    if machine.firmware != Firmware.UEFI:
        return
    if machine.esp:
        yield from ("-drive", f"if=virtio,format=raw,file=fat:rw:{_value(machine.esp)}")
    if machine.system == System.AARCH64:
        yield from ("-bios", str(_installed(_AAVMF, "qemu-efi-aarch64")))
        # A display that firmware and kernel draw on without a driver.
        yield from ("-device", "ramfb")
        return
    code, variables = _installed(_OVMF_CODE, "ovmf"), folder / "variables.fd"
    shutil.copyfile(_installed(_OVMF_VARS, "ovmf"), variables)
    yield from ("-drive", f"if=pflash,format=raw,readonly=on,file={_value(code)}")
    yield from ("-drive", f"if=pflash,format=raw,file={_value(variables)}")
    if machine.bootfile:
        loader = folder / "esp" / "EFI" / "BOOT" / "BOOTX64.EFI"
        loader.parent.mkdir(parents=True)
        shutil.copyfile(_installed(_IPXE_EFI, "ipxe"), loader)
        yield from ("-drive", f"if=virtio,format=raw,file=fat:rw:{_value(folder / 'esp')}")


def _boot(machine: Machine) -> Iterator[str]:
    if machine.kernel:
        yield from ("-kernel", str(machine.kernel))
    if machine.initrd:
        yield from ("-initrd", str(machine.initrd))
    if machine.append:
        yield from ("-append", machine.append)
    if machine.bootfile and machine.firmware != Firmware.UEFI:
        yield from ("-boot", "n")


def _drives(machine: Machine) -> Iterator[str]:
    if machine.disk:
        drive = f"if=virtio,format=raw,snapshot=on,file={_value(machine.disk)}"
        yield from ("-drive", drive)
    if machine.cdrom:
        drive = f"if=none,id=cd,media=cdrom,format=raw,readonly=on,file={_value(machine.cdrom)}"
        yield from ("-drive", drive)
        if machine.system == System.AARCH64:
            yield from ("-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=cd")
        else:
            yield from ("-device", "ide-cd,drive=cd")


def _network(machine: Machine, folder: Path) -> Iterator[str]:
    settings = ["user", "id=net"]
    if machine.isolated:
        settings.append("restrict=on")
    if machine.bootfile:
        settings += _bootfile(machine.bootfile, folder)
    settings += [
        f"hostfwd=tcp:127.0.0.1:{forward.host_port}-:{forward.guest_port}"
        for forward in machine.forwards
    ]
    yield from ("-netdev", ",".join(settings))
    # UEFI starts iPXE from its own disk, and where nothing is fetched the card's would only wait.
    boots_by_rom = machine.bootfile and machine.firmware != Firmware.UEFI
    rom = "" if boots_by_rom else ",romfile="
    yield from ("-device", f"virtio-net-pci,netdev=net{rom}")


def _bootfile(url: str, folder: Path) -> Iterator[str]:
    """The URL as DHCP's own field, or a script beside it that goes on to a longer one."""
    if len(url) < _BOOTP_FILE_FIELD:
        yield f"bootfile={_value(url)}"
        return
    served = folder / "tftp"
    served.mkdir()
    (served / "chain.ipxe").write_text(f"#!ipxe\nchain --autofree {url}\n")
    yield f"tftp={_value(served)}"
    yield "bootfile=chain.ipxe"


def _value(text: Path | str) -> str:
    """Quote a value in QEMU's lists of options, where a comma ends it."""
    return str(text).replace(",", ",,")


def _installed(candidates: tuple[str, ...], package: str) -> Path:
    for candidate in map(Path, candidates):
        if candidate.is_file():
            return candidate
    raise FirmwareMissingError(f"{candidates[0]} is missing; install the package {package}.")
