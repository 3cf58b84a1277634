"""A line of progress for a person who waits; a program's log is spared it."""

from __future__ import annotations

import time

from django.core.management.base import OutputWrapper

EVERY = 0.2  # seconds
PER_CENT = 100


class Progress:
    """Says what is at work and how far it is: on a terminal all the time, else once each."""

    def __init__(self, out: OutputWrapper) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._what = ""
        self._said = 0.0

    def __call__(self, what: str, done: int, size: int) -> None:
        """Say it; bytes done and bytes in all."""
        if self._is_terminal:
            self._redraw(what, done, size)
        elif what != self._what:
            self._what = what
            self._out.write(what)

    def _redraw(self, what: str, done: int, size: int) -> None:
        now = time.monotonic()
        if done >= size:
            self._out.write(f"\r\033[K{what}: {size} bytes")
        elif now - self._said > EVERY:
            self._said = now
            per_cent = done * PER_CENT // max(size, 1)
            self._out.write(f"\r\033[K{what}: {per_cent} %", ending="")
            self._out.flush()
