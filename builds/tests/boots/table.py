"""Writes docs/boot-matrix.md from checks that have run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from django.utils import timezone

from builds.choices import CheckName
from builds.models import Check

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


def write_table(path: Path, checks: Sequence[Check]) -> None:
    """Write the page; a row for each check, in the order in which they are shown."""
    rows = [_row(check) for check in checks]
    head = HEAD.format(day=timezone.now().strftime("%Y-%m-%d"), cores=os.cpu_count())
    path.write_text(f"{head}{''.join(rows)}{FOOT}")


def _row(check: Check) -> str:
    cells = (
        f"`{check.name}`",
        CheckName(check.name).label,
        check.release.system,
        check.get_verdict_display(),
        f"{check.seconds:.1f}",
        check.accelerator,
        str(check.memory or ""),
    )
    return f"| {' | '.join(cells)} |\n"
