"""iPXE scripts that pick the system by themselves, and say so where there is nothing for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.template.loader import render_to_string

from builds.boot.screen import screen
from builds.boot.script import Loading
from builds.boot.standing import Standing
from builds.choices import System

ARCHITECTURES = (
    ("arm64", System.AARCH64),
    ("aarch64", System.AARCH64),
    ("x86_64", System.X86_64),
    # What iPXE for BIOS says of itself, on whatever processor it runs.
    ("i386", System.X86_64),
)
"""What iPXE calls the architecture that it was built for, and the system that it boots."""

_LONGEST = 300  # letters of an explanation; iPXE wraps them


@dataclass(frozen=True, slots=True)
class Entry:
    """What the script does on one system: load, or say why not."""

    system: System
    text: str
    netboot: Loading | None


def picked(title: str, standings: Sequence[Standing], *, report: str = "") -> bytes:
    """The script; `report` is the path that is fetched last before the kernel is started."""
    by_system = {each.system: each for each in standings}
    context = {
        "title": screen(title),
        "architectures": ARCHITECTURES,
        "entries": [_entry(title, system, by_system.get(system)) for system in System],
        "report": report,
    }
    return render_to_string("boot/picked.ipxe", context).encode()


def _entry(title: str, system: System, standing: Standing | None) -> Entry:
    if standing is None:
        return Entry(system, screen(f"{title} has nothing for {system}.", _LONGEST), None)
    text = standing.why or f"{standing.release}"
    return Entry(system, screen(text, _LONGEST), standing.netboot)
