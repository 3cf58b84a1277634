"""Says what a machine is that we boot: frozen values, nothing of QEMU's language."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from builds.choices import System


class Firmware(StrEnum):
    """What starts the machine. NONE: the emulator puts the kernel into memory itself."""

    NONE = "none"
    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, slots=True)
class Forward:
    """A port on this machine's loopback that leads to a TCP port of the guest.

    A `host_port` of 0 is any free one; `Guest.port` says which it became.
    """

    host_port: int
    guest_port: int


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, and what it boots: a kernel, a disk, a CD, or what iPXE fetches.

    `memory` is in MiB. `append` is the kernel's command line. `bootfile` is a URL for iPXE; the
    guest sees this machine's loopback as 10.0.2.2. `isolated` keeps the guest from reaching
    anything but its own emulated network; forwards into it work all the same. Disks and CDs
    are raw files and are never written to. `esp` is a folder that UEFI finds as a disk of its
    own, with EFI/BOOT in it. `bios_on_serial` lets the console show what a BIOS and the loaders
    that it starts say; UEFI does so by itself.
    """

    system: System
    memory: int = 1024
    cpus: int = 2
    firmware: Firmware = Firmware.NONE
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    bootfile: str = ""
    disk: Path | None = None
    cdrom: Path | None = None
    forwards: tuple[Forward, ...] = ()
    isolated: bool = True
    esp: Path | None = None
    bios_on_serial: bool = False

    def __post_init__(self) -> None:
        if self.kernel is None and (self.initrd or self.append):
            raise ValueError("An initrd or a kernel's command line needs a kernel.")
        if self.bootfile and self.isolated:
            raise ValueError("A machine that fetches its boot file must reach the network.")
        if self.firmware == Firmware.NONE and self.kernel is None:
            raise ValueError("A machine without firmware needs a kernel.")
        if self.system == System.AARCH64 and self.firmware == Firmware.BIOS:
            raise ValueError("aarch64 has no BIOS.")
        if self.esp and (self.firmware != Firmware.UEFI or self.bootfile):
            raise ValueError("Only UEFI boots from an ESP, and iPXE brings one of its own.")
        if self.system == System.AARCH64 and self.bootfile:
            raise ValueError("There is no iPXE for aarch64 among the firmware that QEMU brings.")
