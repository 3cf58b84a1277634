"""What the commands print: one line each, coloured where a terminal shows them."""

from __future__ import annotations

import contextlib
import os
import sys
from itertools import cycle

_COLOURS = cycle(("36", "33", "35", "32", "34"))
_WIDTH = 6


class Refused(Exception):
    """The command can't go on; the text is the one line that says why and what to do."""


class Prefix:
    """The name before the lines of one program, in a colour of its own."""

    def __init__(self, name: str) -> None:
        colour = next(_COLOURS)
        self._text = f"{name:<{_WIDTH}} | "
        if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
            self._text = f"\x1b[{colour}m{self._text}\x1b[0m"
        self._is_left_out = os.environ.get("LOG_FORMAT", "").strip() == "json"

    def print(self, line: str) -> None:
        """Print one line of that program; one of JSON names the program itself."""
        is_json = self._is_left_out and line.startswith("{")
        _write(line if is_json else self._text + line)


def say(text: str) -> None:
    """Print a line of the command's own."""
    _write(f"portal: {text}")


def complain(text: str) -> None:
    """Print the line that a command ends with because it can't go on."""
    with contextlib.suppress(OSError):
        print(f"portal: {text}", file=sys.stderr, flush=True)


def _write(line: str) -> None:
    # A terminal that was closed must not keep us from stopping what we started.
    with contextlib.suppress(OSError):
        print(line, flush=True)
