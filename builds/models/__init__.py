"""The rows: channel, target, release, head, build, artifact, check, worker."""

from builds.models.artifact import Artifact
from builds.models.build import MOST_ATTEMPTS, Build, LogChunk, pause
from builds.models.channel import Channel, Target
from builds.models.check import Check
from builds.models.lease import Leased, LeaseLost
from builds.models.release import Head, NotAllowed, Release
from builds.models.worker import Worker

__all__ = [
    "MOST_ATTEMPTS",
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
    "Worker",
    "pause",
]
