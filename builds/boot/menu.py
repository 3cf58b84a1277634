"""The iPXE menu of everything that can be netbooted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.template.loader import render_to_string

from builds.boot.picked import ARCHITECTURES
from builds.boot.screen import age, screen
from builds.boot.script import Loading
from builds.boot.standing import Standing
from builds.choices import System

TIMEOUT = 30_000
"""Milliseconds until the default channel is booted; a key stops the clock."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu: where it leads to within the script, its words, what it loads."""

    label: str
    text: str
    netboot: Loading


@dataclass(frozen=True, slots=True)
class Section:
    """The menu of one system; `default` is the label that the timeout boots, "" for none."""

    name: System
    entries: tuple[Entry, ...]
    default: str


def menu(standings: Sequence[Standing], *, at: datetime) -> bytes:
    """The script; what may not be loaded is not in it. `standings` are the channels' latest."""
    context = {
        "at": at.strftime("%Y-%m-%d %H:%M UTC"),
        "timeout": TIMEOUT,
        "architectures": ARCHITECTURES,
        "systems": [_section(system, standings, at) for system in System],
    }
    return render_to_string("boot/menu.ipxe", context).encode()


def _section(system: System, standings: Sequence[Standing], at: datetime) -> Section:
    offered = [each for each in standings if each.system == system and each.netboot]
    entries = tuple(_entries(system, offered, at))
    usual = min(
        range(len(offered)),
        key=lambda place: not offered[place].release.channel.is_default,
        default=None,
    )
    return Section(system, entries, "" if usual is None else entries[usual].label)


def _entries(system: System, offered: Sequence[Standing], at: datetime) -> Iterator[Entry]:
    for number, each in enumerate(offered, start=1):
        assert each.netboot is not None, "what is offered can be loaded"
        assert each.release.published_at is not None, "what is offered was published"
        channel, old = each.release.channel, age(each.release.published_at, at=at)
        text = f"{channel.name}: {each.release.version}, {old} old - {channel.title}"
        yield Entry(f"{system}-{number}", screen(text), each.netboot)
