"""The rows: channel, target, release, head, build, artifact, check."""

from builds.models.artifact import Artifact
from builds.models.build import Build, LogChunk
from builds.models.channel import Channel, Target
from builds.models.check import Check
from builds.models.lease import Leased, LeaseLost
from builds.models.release import Head, NotAllowed, Release

__all__ = [
    "Artifact",
    "Build",
    "Channel",
    "Check",
    "Head",
    "LeaseLost",
    "Leased",
    "LogChunk",
    "NotAllowed",
    "Release",
    "Target",
]
