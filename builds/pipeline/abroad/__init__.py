"""Releases beyond this portal: mirrors are looked at, other portals followed, tars carried."""

from builds.pipeline.abroad.follow import Busy, follow, follow_all
from builds.pipeline.abroad.look import check_mirror, check_mirrors
from builds.pipeline.abroad.pack import pack
from builds.pipeline.abroad.unpack import unpack

__all__ = [
    "Busy",
    "check_mirror",
    "check_mirrors",
    "follow",
    "follow_all",
    "pack",
    "unpack",
]
