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

Every check on the mini image, from one run on {day}; `make boot-matrix` writes this page. The
machine had {cores} cores; seconds are from the start of QEMU to the verdict, with as many boots at
the same time as there are cores. “RAM” is what the machine was given; for a measurement, the least
with which the image was seen to boot.

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
    head = HEAD.format(day=timezone.now().strftime("%Y-%m-%d"), cores=os.cpu_count())
    path.write_text(f"{head}{''.join(rows)}{FOOT}")


def _row(row: Row) -> str:
    cells = (
        f"`{row.name}`",
        row.name.label,
        row.system,
        Verdict(row.result.verdict).label,
        f"{row.result.seconds:.1f}",
        row.result.accelerator,
        str(row.result.memory or ""),
    )
    return f"| {' | '.join(cells)} |\n"
