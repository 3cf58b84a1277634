"""Every check there is: its name, what it boots, where it applies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from builds.choices import System, Variant, Verdict
from builds.emulator.machine import Firmware
from builds.emulator.watch import BootFailed, BootResult
from builds.models import Release
from builds.pipeline.checks import iso, kexec, netboot
from builds.pipeline.checks.memory import memory_for
from builds.pipeline.checks.subject import Subject

EVERYWHERE = tuple(System)
ON_PC = (System.X86_64,)

CheckRun = Callable[[Release, Callable[[], bool]], BootResult]


@dataclass(frozen=True, slots=True)
class BootCheck:
    """One way to boot one variant, on the systems that have it."""

    variant: Variant
    way: Callable[[Subject], BootResult]
    systems: tuple[System, ...] = EVERYWHERE
    gates: bool = True

    def __call__(self, release: Release, cancelled: Callable[[], bool]) -> BootResult:
        """Boot a release that way; see boot()."""
        memory = memory_for(release, self.variant)
        try:
            return self.way(Subject.of(release, cancelled, memory))
        except BootFailed as failed:
            return not_booted(failed.verdict, str(failed))


CHECKS: dict[str, CheckRun] = {
    "boot-netboot-direct": BootCheck(Variant.NETBOOT, netboot.direct),
    "boot-netboot-bios": BootCheck(Variant.NETBOOT, netboot.by_script_bios, ON_PC),
    "boot-netboot-uefi": BootCheck(Variant.NETBOOT, netboot.by_script_uefi),
    "boot-kexec-installer": BootCheck(
        Variant.KEXEC_INSTALLER, kexec.tarball(Variant.KEXEC_INSTALLER)
    ),
    "boot-kexec-installer-noninteractive": BootCheck(
        Variant.KEXEC_INSTALLER_NONINTERACTIVE,
        kexec.tarball(Variant.KEXEC_INSTALLER_NONINTERACTIVE),
    ),
    "boot-kexec-bundle": BootCheck(Variant.KEXEC_BUNDLE, kexec.bundle),
    "boot-iso-cd-bios": BootCheck(Variant.ISO, iso.iso(Firmware.BIOS, as_disk=False), ON_PC),
    "boot-iso-cd-uefi": BootCheck(Variant.ISO, iso.iso(Firmware.UEFI, as_disk=False)),
    "boot-iso-disk-bios": BootCheck(Variant.ISO, iso.iso(Firmware.BIOS, as_disk=True), ON_PC),
    "boot-iso-disk-uefi": BootCheck(Variant.ISO, iso.iso(Firmware.UEFI, as_disk=True)),
}
"""By name; the order is the one in which they are shown and run."""


def not_booted(verdict: Verdict, reason: str) -> BootResult:
    """The verdict of a check that did not come as far as a machine."""
    return BootResult(verdict=verdict, reason=reason, seconds=0, accelerator="", console="")


def applies(name: str, system: str, variants: Iterable[str]) -> bool:
    """Whether a check can be made of what is built of these variants on a system."""
    check = CHECKS.get(name)
    if not isinstance(check, BootCheck):
        return True  # one that nobody knows is to say so itself
    return System(system) in check.systems and check.variant in set(variants)
