"""Writes docs/boot-matrix.md from checks that have run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from builds.choices import CheckName, Verdict
from builds.emulator.watch import BootResult

HEAD = """# The boot matrix

Checks on the mini image, as they went on {day}; `make boot-matrix` writes this page. Seconds are
from the start of QEMU to the verdict. As many boots ran at the same time as the machine has cores,
which is {cores}; with all else that it did, its load was {load:.0f}. “RAM” is what the machine was
given; for a measurement, the least with which the image was seen to boot.

| check | what it boots | system | verdict | seconds | accelerator | RAM, MiB |
|---|---|---|---|---|---|---|
"""
FOOT = """
`boot-…` checks may hold a release back, `least-ram-…` measure and never do; the catalogue says
which are made of a channel, before and after it is published. aarch64 has no BIOS. Where it boots
by UEFI through the iPXE script, GRUB loads the files and the kernel line that the script names,
because Debian has no iPXE for aarch64.
"""


@dataclass(frozen=True)
class Row:
    """What one check found on one system."""

    name: CheckName
    system: str
    result: BootResult


def write_table(path: Path, found: Sequence[Row]) -> None:
    """Write the page; a row for each check, in the order in which they are shown."""
    rows = [_row(each) for each in found]
    day = timezone.now().strftime("%Y-%m-%d")
    head = HEAD.format(day=day, cores=os.cpu_count(), load=os.getloadavg()[1])
    path.write_text(f"{head}{''.join(rows)}{FOOT}")


def _row(row: Row) -> str:
    cells = (
        f"`{row.name}`",
        row.name.label,
        row.system,
        str(Verdict(row.result.verdict).label),
        f"{row.result.seconds:.1f}",
        row.result.accelerator,
        str(row.result.memory or ""),
    )
    return f"| {' | '.join(cells)} |\n"
