"""Keeps what a check leaves beside the release's files: a picture, or two builds' difference."""

from __future__ import annotations

import logging
import re
from typing import Any

from builds.models import Check
from builds.pipeline.checks.reproduced import Compared
from builds.storage import artifacts

logger = logging.getLogger(__name__)

_LONGEST = 60


def keep_picture(check: Check, picture: bytes) -> str:
    """Store a PNG; its name among the release's files, "" where there is none to keep.

    Each attempt has a name of its own, so that one that has lost its lease overwrites nothing.
    """
    name = f"check-{check.name}-{check.release.system}.{check.fence}.png"
    return name if picture and _is_kept(check, name, picture) else ""


def keep_comparison(check: Check, result: Compared) -> dict[str, Any]:
    """Store what was kept of two builds that differ; the record of the comparison, with names."""
    start = f"check-{check.name}-{check.release.system}.{check.fence}-"
    kept = {f"{start}{_plain(name)}": data for name, data in result.kept.items()}
    names = [name for name, data in kept.items() if _is_kept(check, name, data)]
    return {**result.comparison, "kept": names} if names else dict(result.comparison)


def _is_kept(check: Check, name: str, data: bytes) -> bool:
    try:
        artifacts().replace(check.release.key(name), data)
    except OSError as error:
        logger.warning("%s of %s is not kept: %s", name, check, error)
        return False
    return True


def _plain(name: str) -> str:
    """A name that a file in the storage may end with; what a build calls its files is its own."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name)[-_LONGEST:]
