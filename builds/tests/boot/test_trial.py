"""Which machine boots which variant: firmware, memory, what QEMU is given and what is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builds.boot.options import BadOptions, BootOptions
from builds.boot.remote import Portal, PortalError, RemoteFile, RemoteRelease
from builds.boot.trial import Trial, Wish, trial
from builds.choices import Role, System, Variant
from builds.emulator.machine import Firmware, Forward

HTTP, HTTPS = "http://127.0.0.1:8000", "https://images.example.org"
MIB = 1024 * 1024
DIGEST = "ab" * 32


def remote(system: System = System.X86_64, channel: str = "demo") -> RemoteRelease:
    """A release with every variant, its initrd of 300 MiB."""
    names = {
        (Role.KERNEL, Variant.NETBOOT): (system.kernel_name, 10),
        (Role.INITRD, Variant.NETBOOT): (f"initrd-{system}", 300),
        (Role.TARBALL, Variant.KEXEC_INSTALLER): (f"nixos-kexec-installer-{system}.tar.gz", 320),
        (Role.BUNDLE, Variant.KEXEC_BUNDLE): (f"kexec-bundle-{system}", 320),
        (Role.ISO, Variant.ISO): (f"nixos-installer-{system}.iso", 900),
    }
    files = tuple(
        RemoteFile(name, variant, role, size * MIB, DIGEST, f"releases/download/demo/1/{name}")
        for (role, variant), (name, size) in names.items()
    )
    return RemoteRelease(channel, "1", system, "init=/init console=ttyS0", files)


class OnePortal(Portal):
    """A portal that has one release of each system."""

    def release(self, channel: str, system: System, version: str = "") -> RemoteRelease:
        return remote(system, channel)


def planned(variant: Variant, *, url: str = HTTP, **wish: Any) -> Trial:
    release = remote(wish.pop("system", System.X86_64))
    return trial(Wish(OnePortal(url), release, variant, **wish), lambda file: Path("/") / file.name)


def test_netboot_of_a_pc_goes_through_ipxe() -> None:
    machine = planned(Variant.NETBOOT).machine
    assert machine.firmware == Firmware.BIOS
    assert machine.bootfile == (
        "http://10.0.2.2:8000/releases/download/demo/1/netboot-x86_64-linux.ipxe"
    )
    assert machine.kernel is None
    assert machine.memory == 768 + 4 * 310
    assert planned(Variant.NETBOOT, firmware=Firmware.UEFI).machine.firmware == Firmware.UEFI


def test_parameters_go_into_the_address_of_the_script() -> None:
    segment = BootOptions.parse({"params": "quiet a=1"}).segment
    bootfile = planned(Variant.NETBOOT, append="quiet a=1").machine.bootfile
    assert bootfile.endswith(f"/boot/demo/1/x86_64-linux/{segment}/netboot.ipxe")
    with pytest.raises(BadOptions):
        planned(Variant.NETBOOT, append="a;b")


@pytest.mark.parametrize(
    "wish",
    [{"url": HTTPS}, {"firmware": Firmware.NONE}, {"system": System.AARCH64}],
)
def test_netboot_without_ipxe_is_loaded_by_qemu(wish: dict[str, Any]) -> None:
    machine = planned(Variant.NETBOOT, append="quiet", **wish).machine
    assert machine.firmware == Firmware.NONE
    assert machine.kernel == Path("/") / machine.system.kernel_name
    assert machine.initrd == Path(f"/initrd-{machine.system}")
    assert machine.append == "init=/init console=ttyS0 quiet"


def test_iso_is_a_cd_under_the_firmware_of_its_system() -> None:
    pc = planned(Variant.ISO).machine
    arm = planned(Variant.ISO, system=System.AARCH64).machine
    assert pc.cdrom == Path("/nixos-installer-x86_64-linux.iso")
    assert (pc.firmware, arm.firmware) == (Firmware.BIOS, Firmware.UEFI)
    assert planned(Variant.ISO, firmware=Firmware.UEFI).machine.firmware == Firmware.UEFI
    with pytest.raises(ValueError, match="no --append"):
        planned(Variant.ISO, append="quiet")


@pytest.mark.parametrize(
    ("variant", "runs"),
    [
        (
            Variant.KEXEC_INSTALLER,
            "tar -xzf nixos-kexec-installer-x86_64-linux.tar.gz && kexec/run --append 'quiet'\n",
        ),
        (Variant.KEXEC_BUNDLE, "sh kexec-bundle-x86_64-linux --append 'quiet'\n"),
    ],
)
def test_kexec_is_typed_on_the_mini_image_and_verified(variant: Variant, runs: str) -> None:
    plan = planned(variant, append="quiet")
    assert plan.machine.kernel == Path("/bzImage-x86_64-linux")
    assert plan.machine.append == "init=/init console=ttyS0"
    assert "; cd /root && wget http://10.0.2.2:8000/releases/download/" in plan.then_type
    assert f"echo '{DIGEST}  " in plan.then_type
    assert plan.then_type.endswith(runs)


def test_kexec_needs_a_portal_without_https() -> None:
    with pytest.raises(PortalError, match="no HTTPS"):
        planned(Variant.KEXEC_INSTALLER, url=HTTPS)


def test_nothing_can_be_typed_through_parameters() -> None:
    with pytest.raises(BadOptions):
        planned(Variant.KEXEC_INSTALLER, append="'; reboot; '")


@pytest.mark.parametrize("variant", [Variant.NETBOOT, Variant.ISO, Variant.KEXEC_BUNDLE])
def test_memory_and_port_are_the_persons_where_given(variant: Variant) -> None:
    machine = planned(variant, memory=512, ssh_port=2222).machine
    assert machine.memory == 512
    assert machine.forwards == (Forward(2222, 22),)


@pytest.mark.parametrize(
    "wish",
    [
        {"url": HTTPS, "firmware": Firmware.UEFI},
        {"system": System.AARCH64, "firmware": Firmware.BIOS},
    ],
)
def test_firmware_that_does_not_go_with_it_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"HTTPS|aarch64 has no BIOS"):
        planned(Variant.NETBOOT, **wish)
