"""The rows: channel, target, release, head, build, artifact, check, damage."""

from builds.models.artifact import Artifact
from builds.models.build import Build, LogChunk
from builds.models.channel import Channel, Target
from builds.models.check import Check
from builds.models.damage import Damage
from builds.models.lease import HEARTBEAT, LEASE, Leased, LeaseLost
from builds.models.release import Head, NotAllowed, Release

__all__ = [
    "HEARTBEAT",
    "LEASE",
    "Artifact",
    "Build",
    "Channel",
    "Check",
    "Damage",
    "Head",
    "LeaseLost",
    "Leased",
    "LogChunk",
    "NotAllowed",
    "Release",
    "Target",
]
