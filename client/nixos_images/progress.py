"""How far a download is: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
import time

_EVERY = 0.1  # seconds
_BAR = 24  # characters
_WIDTH = 80
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Progress:
    """One line that is drawn again and again, and gone at the end."""

    def __init__(self, name: str, total: int, *, quiet: bool = False) -> None:
        self._name = name
        self._total = total
        self._is_shown = sys.stderr.isatty() and not quiet
        self._started = self._drawn = time.monotonic()
        self._first = -1

    def show(self, done: int) -> None:
        """Draw how far it is, now and then."""
        now = time.monotonic()
        if self._first < 0:
            self._first = done
        if not self._is_shown or (now - self._drawn < _EVERY and done < self._total):
            return
        self._drawn = now
        share = done / self._total if self._total else 1.0
        bar = "#" * int(_BAR * share)
        speed = (done - self._first) / max(now - self._started, 0.001)
        line = f"{self._name} [{bar:<{_BAR}}] {share:4.0%} {size(done)} {size(speed)}/s"
        width = (shutil.get_terminal_size().columns or _WIDTH) - 1  # a serial line says 0
        sys.stderr.write(f"\r{line[:width]:<{width}}")
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def size(number: float) -> str:
    """So many bytes, for a person."""
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:  # noqa: PLR2004
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
