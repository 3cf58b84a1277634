"""Lends a person's terminal to a guest's console, until the guest ends or the person leaves."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator

from builds.emulator.guest import Guest, GuestEndedError

LEAVE = b"\x1d"
LEAVE_NAME = "Ctrl-]"
_LOOK_EVERY = 0.2
_CHUNK = 4096


def show(piece: bytes) -> None:
    """Write a piece of the console as it is, escapes and all, to standard output."""
    with contextlib.suppress(OSError):  # whoever read it has gone
        sys.stdout.flush()
        _write(sys.stdout.fileno(), piece)


def attach(guest: Guest) -> bool:
    """Pass on what is typed until Ctrl-] or the guest's end; true where the person left.

    Where standard input is no terminal, its end leaves the guest running.
    """
    keyboard = sys.stdin.fileno()
    with raw(keyboard), contextlib.suppress(GuestEndedError):
        return _pass_on(guest, keyboard)
    return False


@contextlib.contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Let every key through, Ctrl-C too; the terminal is as before afterwards."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _pass_on(guest: Guest, keyboard: int) -> bool:
    listening = [keyboard]
    while not guest.ended:
        ready, _, _ = select.select(listening, [], [], _LOOK_EVERY)
        if not ready:
            continue
        typed = os.read(keyboard, _CHUNK)
        before, left, _ = typed.partition(LEAVE)
        guest.send(before)
        if left:
            return True
        if not typed:
            listening = []
    return False


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
