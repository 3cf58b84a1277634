"""The rows: channel, target, release, head, build, log, artifact, check."""

from builds.models.artifact import Artifact
from builds.models.build import Build
from builds.models.channel import Channel, Target
from builds.models.check import Check
from builds.models.lease import HEARTBEAT, LEASE, Leased, LeaseLost
from builds.models.log import LogArchive, LogChunk, Packed, Piece, lines_of
from builds.models.release import Head, NotAllowed, Release

__all__ = [
    "HEARTBEAT",
    "LEASE",
    "Artifact",
    "Build",
    "Channel",
    "Check",
    "Head",
    "LeaseLost",
    "Leased",
    "LogArchive",
    "LogChunk",
    "NotAllowed",
    "Packed",
    "Piece",
    "Release",
    "Target",
    "lines_of",
]
