"""Keeps what a machine's screen showed at the end of a check, beside the release's files."""

from __future__ import annotations

import logging

from builds.models import Check
from builds.storage import artifacts

logger = logging.getLogger(__name__)


def keep_picture(check: Check, picture: bytes) -> str:
    """Store a PNG; its name among the release's files, "" where there is none to keep.

    Each attempt has a name of its own, so that one that has lost its lease overwrites nothing.
    """
    if not picture:
        return ""
    name = f"check-{check.name}-{check.release.system}.{check.fence}.png"
    try:
        artifacts().replace(check.release.key(name), picture)
    except OSError as error:
        logger.warning("the picture of %s is not kept: %s", check, error)
        return ""
    return name
