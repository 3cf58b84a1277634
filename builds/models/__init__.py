"""The rows: channel, target, release, head, build, artifact, check; event and delivery."""

from builds.models.artifact import Artifact
from builds.models.build import Build, LogChunk
from builds.models.channel import Channel, Target
from builds.models.check import Check
from builds.models.delivery import Attempt, Delivery
from builds.models.lease import HEARTBEAT, LEASE, Leased, LeaseLost
from builds.models.notice import Event
from builds.models.release import Head, NotAllowed, Release
from builds.models.subscription import Subscription

__all__ = [
    "HEARTBEAT",
    "LEASE",
    "Artifact",
    "Attempt",
    "Build",
    "Channel",
    "Check",
    "Delivery",
    "Event",
    "Head",
    "LeaseLost",
    "Leased",
    "LogChunk",
    "NotAllowed",
    "Release",
    "Subscription",
    "Target",
]
