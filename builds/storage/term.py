"""How long something that was read may be told: until the storage says that it is old."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from builds.storage.base import artifacts
from builds.storage.keys import ROOT

FOR_GOOD = float("inf")
Print = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Term:
    """As long as a file is as it was before anything was read, and so many seconds."""

    file: str | None
    as_of: Print | None
    seconds: float

    @classmethod
    def of(cls, file: str | None, seconds: float = FOR_GOOD) -> Self:
        """From this moment on; None where no file tells."""
        return cls(file, _print(file), seconds)

    @classmethod
    def of_heads(cls, seconds: float) -> Self:
        """Until any head moves, which changes the time of the folder above all channels; where
        the storage is no folder, nothing tells of it."""
        folder = artifacts().local_path(ROOT)
        return cls.of(str(folder) if folder else None, seconds)

    def holds(self) -> bool:
        """Whether the file is as it was."""
        return _print(self.file) == self.as_of


def _print(file: str | None) -> Print | None:
    """What changes whenever a file is replaced or outdated; None where there is none."""
    if file is None:
        return None
    try:
        found = os.stat(file)  # noqa: PTH116 - for each request; a Path costs more than the rest
    except (OSError, ValueError):  # the latter for a NUL byte
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
