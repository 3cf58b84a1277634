"""How much room is left on the disks that a build fills."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings

from builds.builders.base import OutOfSpace

GIB = 2**30
NIX_STORE = Path("/nix/store")


def places() -> dict[str, Path]:
    """What a build fills on this machine, by what people call it."""
    return {"the Nix store": NIX_STORE, "the data folder": settings.DATA_DIR}


def free(folder: Path) -> int:
    """The bytes that are free where a folder is, or will be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def refuse_if_short(least: int) -> None:
    """Raise OutOfSpace where a disk has fewer free bytes than a build is to find."""
    for name, folder in places().items():
        left = free(folder)
        if left < least:
            raise OutOfSpace(
                f"The worker has only {left / GIB:.1f} GiB left for {name}, and a build is to "
                f"find {least / GIB:.1f} GiB (DISK_FREE_LEAST); make room, for example with "
                "nix-collect-garbage."
            )
