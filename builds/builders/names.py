"""The names of artifacts: what a file is by its name, and what a file of another name is called."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builds.choices import Role, System, Variant

PACKED = (".tar.gz", ".tar.xz")
_NONINTERACTIVE = "noninteractive"


@dataclass(frozen=True, slots=True)
class Meant:
    """What a file is for, in which variant."""

    variant: Variant
    role: Role


def recognised(name: str, system: System) -> Meant | None:
    """What a file of this name is for on a system; None where it is no artifact's name."""
    if name == system.kernel_name:
        return Meant(Variant.NETBOOT, Role.KERNEL)
    plain = {
        f"initrd-{system}": Meant(Variant.NETBOOT, Role.INITRD),
        f"netboot-{system}.ipxe": Meant(Variant.NETBOOT, Role.IPXE),
        f"kexec-bundle-{system}": Meant(Variant.KEXEC_BUNDLE, Role.BUNDLE),
        f"nixos-installer-{system}.iso": Meant(Variant.ISO, Role.ISO),
    }
    tarball = re.fullmatch(
        rf"nixos-kexec-installer(?P<quiet>-{_NONINTERACTIVE})?-{system}\.tar\.(?:gz|xz)", name
    )
    if tarball:
        return Meant(_tarball_variant(name), Role.TARBALL)
    return plain.get(name)


def meant_by_role(role: Role, name: str) -> Meant:
    """What a file is for of which only the role is known, and a name of any form."""
    variants = {
        Role.BUNDLE: Variant.KEXEC_BUNDLE,
        Role.ISO: Variant.ISO,
        Role.TARBALL: _tarball_variant(name),
    }
    return Meant(variants.get(role, Variant.NETBOOT), role)


def is_of_another_system(name: str, system: System) -> bool:
    """Whether a name says that the file is for another system."""
    return any(other.value in name for other in System if other is not system)


def artifact_name(meant: Meant, system: System, given: str) -> str:
    """What an artifact is called here, whatever it was called where it was made.

    A tarball keeps the end that tells how it is packed. Raises ValueError for one that is packed
    in a way that the portal's commands can't unpack.
    """
    if meant.role == Role.TARBALL:
        end = next((end for end in PACKED if given.endswith(end)), None)
        if end is None:
            raise ValueError(f"{given} is a tarball that ends neither in {' nor in '.join(PACKED)}")
        return f"nixos-{meant.variant}-{system}{end}"
    return {
        Role.KERNEL: system.kernel_name,
        Role.INITRD: f"initrd-{system}",
        Role.IPXE: f"netboot-{system}.ipxe",
        Role.BUNDLE: f"kexec-bundle-{system}",
        Role.ISO: f"nixos-installer-{system}.iso",
    }[meant.role]


def _tarball_variant(name: str) -> Variant:
    if _NONINTERACTIVE in name:
        return Variant.KEXEC_INSTALLER_NONINTERACTIVE
    return Variant.KEXEC_INSTALLER
