"""Boots the ISO from a CD, and from a disk onto which it was copied."""

from __future__ import annotations

from collections.abc import Callable

from builds.choices import Role, Variant
from builds.emulator.machine import Firmware, Machine
from builds.emulator.watch import BootResult
from builds.pipeline.checks.signs import SSH, signs
from builds.pipeline.checks.subject import Subject


def iso(firmware: Firmware, *, as_disk: bool) -> Callable[[Subject], BootResult]:
    """The check of an ISO under a firmware."""

    def check(subject: Subject) -> BootResult:
        with subject.local(subject.artifact(Role.ISO, Variant.ISO)) as [path]:
            machine = Machine(
                system=subject.system,
                memory=subject.memory,
                firmware=firmware,
                disk=path if as_disk else None,
                cdrom=None if as_disk else path,
                bios_on_serial=True,
                forwards=(SSH,),
            )
            return subject.boot(machine, signs(subject))

    return check
