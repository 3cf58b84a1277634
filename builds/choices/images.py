"""What an image is: systems, variants, roles of files, and the checks of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _

from builds.choices.states import Origin


class System(models.TextChoices):
    """The Nix double of the machine that an image boots on."""

    X86_64 = "x86_64-linux", "x86_64-linux"
    AARCH64 = "aarch64-linux", "aarch64-linux"

    @property
    def architecture(self) -> str:
        """The word that users read and iPXE's ${buildarch} is mapped to: x86_64, aarch64."""
        return self.value.partition("-")[0]

    @property
    def queue(self) -> str:
        """The Celery queue of the builds for this system: build.x86_64-linux."""
        return f"build.{self.value}"

    @property
    def kernel_name(self) -> str:
        """The kernel's file name in a netboot: bzImage-… on x86_64, Image-… on aarch64."""
        stem = "bzImage" if self is System.X86_64 else "Image"
        return f"{stem}-{self.value}"

    @property
    def serial_console(self) -> str:
        """The Linux name of the first serial port of the usual machines of this system."""
        return "ttyS0" if self is System.X86_64 else "ttyAMA0"


class Variant(models.TextChoices):
    """The kind of image."""

    NETBOOT = "netboot", _("Netboot")
    KEXEC_INSTALLER = "kexec-installer", _("Kexec installer")
    KEXEC_INSTALLER_NONINTERACTIVE = (
        "kexec-installer-noninteractive",
        _("Kexec installer, noninteractive"),
    )
    KEXEC_BUNDLE = "kexec-bundle", _("Kexec bundle")
    ISO = "iso", _("ISO")


class Role(models.TextChoices):
    """What an artifact is for."""

    KERNEL = "kernel", _("Kernel")
    INITRD = "initrd", _("Initrd")
    IPXE = "ipxe", _("iPXE script")
    TARBALL = "tarball", _("Kexec tarball")
    BUNDLE = "bundle", _("Kexec bundle")
    ISO = "iso", _("ISO")

    @classmethod
    def loaded_by_firmware(cls) -> frozenset[Role]:
        """What iPXE and firmware load: many of them know neither HTTPS nor query strings."""
        return frozenset({cls.KERNEL, cls.INITRD, cls.IPXE})


class Console(models.TextChoices):
    """Where a machine shows its boot and has a shell, in the words of the kernel's console=."""

    SCREEN = "tty0", _("the screen")
    FIRST_SERIAL = "ttyS0,115200", _("first serial port, of a PC")
    SECOND_SERIAL = "ttyS1,115200", _("second serial port, of a PC; often the remote console")
    FIRST_ARM_SERIAL = "ttyAMA0,115200", _("first serial port, of an ARM machine")
    VIRTUAL = "hvc0", _("console of a virtual machine")


class Verdict(models.TextChoices):
    """What a check found; the ends of a boot that went wrong have a word each."""

    PENDING = "pending", _("waiting")
    RUNNING = "running", _("running")
    PASSED = "passed", _("passed")
    PANICKED = "panicked", _("kernel panic")
    EMERGENCY = "emergency", _("emergency shell")
    HUNG = "hung", _("no sign of life")
    ENDED = "ended", _("the machine ended early")
    LOADER = "loader", _("the loader failed")
    HANDOVER = "handover", _("the handover failed")
    DAMAGED = "damaged", _("a file is damaged")
    DIFFERS = "differs", _("differs")
    ERROR = "error", _("could not be checked")

    @classmethod
    def failed(cls) -> frozenset[Verdict]:
        """The verdicts that hold a release back, where the check is one that does."""
        return frozenset(cls) - {cls.PENDING, cls.RUNNING, cls.PASSED}


class CheckName(models.TextChoices):
    """The checks there are, in the order in which they are shown and run."""

    NETBOOT_DIRECT = "boot-netboot-direct", "kernel and initrd by themselves"
    NETBOOT_BIOS = "boot-netboot-bios", "the iPXE script over HTTP, by BIOS"
    NETBOOT_UEFI = "boot-netboot-uefi", "the iPXE script over HTTP, by UEFI"
    KEXEC_INSTALLER = "boot-kexec-installer", "kexec from a running Linux"
    KEXEC_BUNDLE = "boot-kexec-bundle", "the kexec bundle in a running Linux"
    ISO_CD_BIOS = "boot-iso-cd-bios", "the ISO as a CD, by BIOS"
    ISO_CD_UEFI = "boot-iso-cd-uefi", "the ISO as a CD, by UEFI"
    ISO_DISK_BIOS = "boot-iso-disk-bios", "the ISO on a disk, by BIOS"
    ISO_DISK_UEFI = "boot-iso-disk-uefi", "the ISO on a disk, by UEFI"
    # Last, because it may be the bytes of another tarball, which has booted by then.
    KEXEC_INSTALLER_NONINTERACTIVE = (
        "boot-kexec-installer-noninteractive",
        "kexec from a running Linux, noninteractive",
    )
    LEAST_RAM_NETBOOT = "least-ram-netboot", "how little RAM the netboot needs"
    LEAST_RAM_KEXEC_INSTALLER = (
        "least-ram-kexec-installer",
        "how little RAM a kexec into the installer needs",
    )
    LEAST_RAM_KEXEC_INSTALLER_NONINTERACTIVE = (
        "least-ram-kexec-installer-noninteractive",
        "how little RAM a kexec into the noninteractive installer needs",
    )
    LEAST_RAM_ISO = "least-ram-iso", "how little RAM the ISO needs"
    REPRODUCED = "reproduced", "every variant, built again and compared to the byte"

    @property
    def measures(self) -> bool:
        """Whether it finds a number out, and never holds a release back."""
        return self.value.startswith("least-ram-")

    @property
    def boots(self) -> bool:
        """Whether it boots one variant; the others look at the release as a whole."""
        return self is not CheckName.REPRODUCED

    @property
    def variant(self) -> Variant:
        """What it boots, of one that boots."""
        told = self.value.removeprefix("boot-").removeprefix("least-ram-")
        return max((v for v in Variant if told.startswith(v)), key=len)

    @property
    def systems(self) -> tuple[System, ...]:
        """Where it can be made: aarch64 has no BIOS."""
        return (System.X86_64,) if self.value.endswith("-bios") else tuple(System)

    def applies(self, system: str, variants: Collection[str]) -> bool:
        """Whether it can be made of what is built of these variants on a system."""
        if not self.boots:
            return bool(variants)
        return system in self.systems and self.variant in variants

    @classmethod
    def gates(cls) -> list[CheckName]:
        """Those that a release may be held back by."""
        return [name for name in cls if not name.measures]

    @classmethod
    def plainest(cls, variant: Variant) -> CheckName:
        """The one that boots a variant with the least beside it."""
        wanted = {Variant.NETBOOT: cls.NETBOOT_DIRECT, Variant.ISO: cls.ISO_CD_UEFI}
        return wanted.get(variant) or cls(f"boot-{variant}")

    @classmethod
    def missing(
        cls, names: Collection[str], systems: Iterable[str], variants: Collection[str]
    ) -> list[CheckName]:
        """What must be added so that every variant is booted before it is published."""
        booted = {
            (system, cls(name).variant)
            for system in systems
            for name in cls.planned(set(names) & {*cls.gates()}, system, variants)
            if cls(name).boots
        }
        wanted = {
            cls.plainest(Variant(variant))
            for system in systems
            for variant in variants
            if (system, variant) not in booted
        }
        return [name for name in cls if name in wanted]

    @classmethod
    def planned(
        cls,
        names: Iterable[str],
        system: str,
        variants: Collection[str],
        origin: str = Origin.BUILT,
    ) -> list[str]:
        """Of some names those that apply; one that is no name stays, to say so itself.

        What was built elsewhere can't be built again here.
        """
        left_out = set() if origin == Origin.BUILT else {cls.REPRODUCED}
        return [
            name
            for name in names
            if name not in left_out
            and (name not in cls.values or cls(name).applies(system, variants))
        ]
