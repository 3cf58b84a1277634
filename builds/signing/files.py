"""Small files: written so that they survive the next moment, and keys that only their owner reads.

What is written is on the disk, whole, or not there at all.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path


class Exposed(OSError):
    """A private key is open to others; the text says which one, and what to do."""


def private(key: Path) -> Path:
    """The path of a private key, where nobody but its owner may read it. Raises Exposed."""
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        raise Exposed(f"others may read {key} (mode {mode:04o}): chmod 600, and rotate if they did")
    return key


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Let a folder appear with these files in it. Raises FileExistsError where it is there."""
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    for name, data in files.items():
        with (part / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    if folder.exists():
        raise FileExistsError(folder)
    part.rename(folder)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
