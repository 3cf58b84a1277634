"""Finds out whether KVM really runs a machine here, or only looks as if it did."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builds import processes
from builds.choices import System
from builds.emulator import qemu
from builds.emulator.stubs import SectorEnd, arm64_image, boot_disk

_DEVICE = Path("/dev/kvm")
# Healthy KVM answers in a few tenths of a second. One that was seen to take 3 s for the boot
# sector hung on every Linux kernel.
_STUB_LIMIT = 1.5
_KERNEL_LIMIT = 8.0
_DEBUG_EXIT = 85  # what QEMU makes of the 42 that the boot sector writes


@dataclass(frozen=True, slots=True)
class Accelerator:
    """How QEMU runs a machine: "kvm" or "tcg", and why that one, in a sentence."""

    name: str
    reason: str


def accelerator(system: System, kernel: Path | None = None) -> Accelerator:
    """The fastest way that works here, found by running it; remembered for this process.

    A kernel, where one is given, must boot as far as missing its root, because there are
    machines whose KVM runs small programs and hangs on Linux.
    """
    refusal = _kvm_refusal(system) or (_kernel_refusal(system, kernel) if kernel else "")
    if refusal:
        return Accelerator("tcg", refusal)
    return Accelerator("kvm", "KVM ran a machine when it was tried.")


@cache
def _kvm_refusal(system: System) -> str:
    if platform.machine() != system.architecture:
        return f"KVM can't run {system} on a machine of {platform.machine()}."
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"There is no {_DEVICE} that we may open."
    with tempfile.TemporaryDirectory(prefix="kvm-") as folder:
        stub = Path(folder) / "stub"
        return _refusal(system, _stub(system, stub), _STUB_LIMIT)


_tried_kernels: dict[System, str] = {}


def _kernel_refusal(system: System, kernel: Path) -> str:
    """One kernel stands for all: what matters is whether KVM runs any Linux."""
    if system not in _tried_kernels:
        words = ["-kernel", str(kernel), "-append", f"console={system.serial_console} panic=-1"]
        _tried_kernels[system] = _refusal(system, words, _KERNEL_LIMIT)
    return _tried_kernels[system]


def _stub(system: System, path: Path) -> list[str]:
    """Write a program that ends the machine by itself; gives the options to boot it."""
    if system == System.AARCH64:
        path.write_bytes(arm64_image(b"", power_off=True))
        return ["-kernel", str(path)]
    path.write_bytes(boot_disk(b"", SectorEnd.DEBUG_EXIT))
    drive = f"file={path},format=raw,if=ide,snapshot=on"
    return ["-drive", drive, "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]


def _refusal(system: System, words: list[str], limit: float) -> str:
    """Why KVM is not to be used; "" where the machine came to its end in time."""
    options = ["-nodefaults", "-display", "none", "-no-reboot", "-m", "256", *words]
    command = [qemu.program(system), *qemu.board(system, "kvm"), *options]
    try:
        with processes.running(command, grace=0.5) as process:
            code = process.wait(limit)
    except subprocess.TimeoutExpired:
        return f"KVM did not get a machine to its end within {limit:g} seconds."
    except FileNotFoundError:
        return f"{command[0]} is not installed."
    return "" if code in {0, _DEBUG_EXIT} else f"QEMU failed under KVM with exit code {code}."
