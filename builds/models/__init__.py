"""The rows: what is built, kept and told; a module each, its QuerySet beside its model."""

from builds.models.artifact import Artifact
from builds.models.build import MOST_ATTEMPTS, Build, pause
from builds.models.channel import Channel, Target
from builds.models.check import Check
from builds.models.damage import Damage
from builds.models.delivery import Attempt, Delivery
from builds.models.download import CountedBatch, CountedLog, DownloadCount, monday
from builds.models.head import Head
from builds.models.lease import Leased, LeaseLost
from builds.models.log import LogArchive, LogChunk, Packed, Piece, lines_of
from builds.models.notice import Event
from builds.models.release import NotAllowed, Release
from builds.models.subscription import Subscription
from builds.models.worker import Worker

__all__ = [
    "MOST_ATTEMPTS",
    "Artifact",
    "Attempt",
    "Build",
    "Channel",
    "Check",
    "CountedBatch",
    "CountedLog",
    "Damage",
    "Delivery",
    "DownloadCount",
    "Event",
    "Head",
    "LeaseLost",
    "Leased",
    "LogArchive",
    "LogChunk",
    "NotAllowed",
    "Packed",
    "Piece",
    "Release",
    "Subscription",
    "Target",
    "Worker",
    "lines_of",
    "monday",
    "pause",
]
