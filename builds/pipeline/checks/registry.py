"""Every check there is, by its name, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builds.choices import CheckName, Variant, Verdict
from builds.emulator.machine import Firmware
from builds.emulator.watch import BootFailed, BootResult
from builds.models import Release
from builds.pipeline.checks import iso, kexec, netboot
from builds.pipeline.checks.least import LeastMemory
from builds.pipeline.checks.memory import memory_for
from builds.pipeline.checks.reproduced import reproduced
from builds.pipeline.checks.subject import Subject

CheckRun = Callable[[Release, Callable[[], bool]], BootResult]
Way = Callable[[Subject], BootResult]


@dataclass(frozen=True, slots=True)
class BootCheck:
    """One way to boot one variant."""

    variant: Variant
    way: Way

    def __call__(self, release: Release, cancelled: Callable[[], bool]) -> BootResult:
        """Boot a release that way."""
        memory = memory_for(release, self.variant)
        try:
            return self.way(Subject.of(release, cancelled, memory))
        except BootFailed as failed:
            return not_booted(failed.verdict, str(failed))


_kexec_installer = kexec.tarball(Variant.KEXEC_INSTALLER)
_noninteractive = kexec.tarball(Variant.KEXEC_INSTALLER_NONINTERACTIVE)
_cd_uefi = iso.iso(Firmware.UEFI, as_disk=False)

_WAYS: dict[CheckName, Way] = {
    CheckName.NETBOOT_DIRECT: netboot.direct,
    CheckName.NETBOOT_BIOS: netboot.by_script_bios,
    CheckName.NETBOOT_UEFI: netboot.by_script_uefi,
    CheckName.KEXEC_INSTALLER: _kexec_installer,
    CheckName.KEXEC_INSTALLER_NONINTERACTIVE: _noninteractive,
    CheckName.KEXEC_BUNDLE: kexec.bundle,
    CheckName.ISO_CD_BIOS: iso.iso(Firmware.BIOS, as_disk=False),
    CheckName.ISO_CD_UEFI: _cd_uefi,
    CheckName.ISO_DISK_BIOS: iso.iso(Firmware.BIOS, as_disk=True),
    CheckName.ISO_DISK_UEFI: iso.iso(Firmware.UEFI, as_disk=True),
}
# The way that needs least beside the image itself.
_MEASURED: dict[CheckName, Way] = {
    CheckName.LEAST_RAM_NETBOOT: netboot.direct,
    CheckName.LEAST_RAM_KEXEC_INSTALLER: _kexec_installer,
    CheckName.LEAST_RAM_KEXEC_INSTALLER_NONINTERACTIVE: _noninteractive,
    CheckName.LEAST_RAM_ISO: _cd_uefi,
}

CHECKS: dict[str, CheckRun] = {
    **{name.value: BootCheck(name.variant, way) for name, way in _WAYS.items()},
    **{name.value: LeastMemory(name.variant, way) for name, way in _MEASURED.items()},
    CheckName.REPRODUCED.value: reproduced,
}
"""By name; exactly those of CheckName."""


def not_booted(verdict: Verdict, reason: str) -> BootResult:
    """The verdict of a check that did not come as far as a machine."""
    return BootResult(verdict=verdict, reason=reason, seconds=0, accelerator="", console="")
