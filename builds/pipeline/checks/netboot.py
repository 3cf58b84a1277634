"""Boots the netboot: kernel and initrd by themselves, and through the iPXE script over HTTP."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from builds.choices import Role, System, Variant, Verdict
from builds.emulator.machine import Firmware, Machine
from builds.emulator.watch import BootFailed, BootResult
from builds.pipeline.checks import linux, script
from builds.pipeline.checks.server import Shelf, script_of, serving_release
from builds.pipeline.checks.signs import SSH, signs
from builds.pipeline.checks.subject import Subject, refuse_if_damaged


def direct(subject: Subject) -> BootResult:
    """Kernel and initrd, given to the machine by the emulator."""
    kernel = subject.artifact(Role.KERNEL, Variant.NETBOOT)
    initrd = subject.artifact(Role.INITRD, Variant.NETBOOT)
    params = kernel.build.kernel_params if kernel.build else ""
    with subject.local(kernel, initrd) as (kernel_path, initrd_path):
        machine = Machine(
            system=subject.system,
            memory=subject.memory,
            kernel=kernel_path,
            initrd=initrd_path,
            # The last console= is the one that the init system talks to.
            append=f"{params} console={subject.system.serial_console}".strip(),
            forwards=(SSH,),
        )
        return subject.boot(machine, signs(subject))


def by_script_bios(subject: Subject) -> BootResult:
    """The network card's own iPXE runs the script."""
    return _by_ipxe(subject, Firmware.BIOS)


def by_script_uefi(subject: Subject) -> BootResult:
    """The script's files over HTTP under UEFI: by iPXE, or by GRUB where there is no iPXE."""
    if subject.system == System.X86_64:
        return _by_ipxe(subject, Firmware.UEFI)
    _refuse_if_damaged(subject)
    with serving_release(subject.release) as shelf, tempfile.TemporaryDirectory() as folder:
        esp = Path(folder)
        _write_loader(subject, esp, shelf)
        machine = Machine(
            system=subject.system,
            memory=subject.memory,
            firmware=Firmware.UEFI,
            esp=esp,
            isolated=False,
            forwards=(SSH,),
        )
        return subject.boot(machine, signs(subject))


def _by_ipxe(subject: Subject, firmware: Firmware) -> BootResult:
    _refuse_if_damaged(subject)
    with serving_release(subject.release) as shelf:
        machine = Machine(
            system=subject.system,
            memory=subject.memory,
            firmware=firmware,
            bootfile=shelf.url(_script_key(shelf)),
            isolated=False,
            bios_on_serial=True,
            forwards=(SSH,),
        )
        return subject.boot(machine, signs(subject))


def _refuse_if_damaged(subject: Subject) -> None:
    for role in (Role.KERNEL, Role.INITRD):
        refuse_if_damaged(subject.artifact(role, Variant.NETBOOT))


def _script_key(shelf: Shelf) -> str:
    return next(iter(shelf.texts))


def _write_loader(subject: Subject, esp: Path, shelf: Shelf) -> None:
    """A GRUB that loads the very files that the script names, as UEFI starts it from a disk."""
    [(key, text)] = script_of(subject.release).items()
    try:
        netboot = script.read(text.decode(), shelf.url(key))
    except script.ScriptError as wrong:
        raise BootFailed(Verdict.LOADER, str(wrong)) from wrong
    program = esp / "EFI" / "BOOT" / "BOOTAA64.EFI"
    program.parent.mkdir(parents=True)
    shutil.copyfile(linux.netboot_loader(subject.system, subject.cancelled), program)
    (esp / "netboot.cfg").write_text(script.grub_config(netboot))
