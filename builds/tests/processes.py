"""What runs on this machine, as /proc tells it."""

from __future__ import annotations

import os
from pathlib import Path


def processes_with(word: str) -> list[int]:
    """The processes, of any namespace below ours, with a word on their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in line and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found
