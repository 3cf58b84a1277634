"""What checks need besides the release, built by Nix: a running Linux, and GRUB for the network."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builds.builders.base import BuildCancelled, BuilderError
from builds.choices import System, Verdict
from builds.emulator.watch import BootCancelled, BootFailed
from builds.pipeline.makers import builder
from builds.pipeline.plan import absolute

_FLAKE = "path:images/mini"
MARKER = "mini image is up: "


@dataclass(frozen=True, slots=True)
class RunningLinux:
    """The mini image as the Linux that runs before a kexec."""

    kernel: Path
    initrd: Path


def running_linux(system: System, cancelled: Callable[[], bool]) -> RunningLinux:
    """The mini image of this portal; built once, then it lies in the Nix store.

    Raises BootFailed, and OSError where trying again can help.
    """
    output = _built(system, "netboot", cancelled)
    return RunningLinux(output / system.kernel_name, output / f"initrd-{system}")


def netboot_loader(system: System, cancelled: Callable[[], bool]) -> Path:
    """A GRUB for UEFI that knows HTTP and reads netboot.cfg from where it started. BootFailed."""
    return _built(system, "netboot-loader", cancelled) / "grub.efi"


def _built(system: System, name: str, cancelled: Callable[[], bool]) -> Path:
    # Packed on this machine, whatever system it is for.
    attribute = f"packedOn.{platform.machine()}-linux.{system}.{name}"
    try:
        return builder().provide(absolute(_FLAKE), attribute, cancelled)
    except BuildCancelled as stopped:
        raise BootCancelled from stopped
    except BuilderError as error:
        if error.retry:
            raise OSError(str(error)) from error
        raise BootFailed(
            Verdict.ERROR, f"What the check needs could not be built ({name}): {error}"
        ) from error
