"""The rows: what is built, kept and told; a module each, its QuerySet beside its model."""

from builds.models.access import acts_of, give_standing, standing_of
from builds.models.actor import FIRST_START, PORTAL, SCHEDULE, Actor
from builds.models.answer import Answer, OtherRequest, Reply
from builds.models.arrival import Arrival, ArrivedPart, ArrivingFile
from builds.models.artifact import Artifact
from builds.models.audit import AppendOnly, AuditEntry, AuditTip, Subject
from builds.models.build import MOST_ATTEMPTS, Build, pause
from builds.models.channel import Channel, Target
from builds.models.check import Check
from builds.models.damage import Damage
from builds.models.delivery import Attempt, Delivery
from builds.models.download import CountedBatch, CountedLog, DownloadCount, monday
from builds.models.followed import Followed
from builds.models.head import Head
from builds.models.head_move import HeadMove
from builds.models.host import Host
from builds.models.lease import Leased, LeaseLost
from builds.models.log import LogArchive, LogChunk, Packed, Piece, lines_of
from builds.models.mirror import Mirror, MirrorCopy, MirrorHead
from builds.models.notice import Event
from builds.models.pieces import Pieces, piece_length
from builds.models.record import BuildRecord
from builds.models.release import NotAllowed, Release
from builds.models.reproduction import Reproduction
from builds.models.signed import SignedSums
from builds.models.subscription import Subscription
from builds.models.token import Token
from builds.models.token_text import NoToken, holds_token
from builds.models.totals import Totals
from builds.models.transfer import Transfer
from builds.models.worker import Worker

__all__ = [
    "FIRST_START",
    "MOST_ATTEMPTS",
    "PORTAL",
    "SCHEDULE",
    "Actor",
    "Answer",
    "AppendOnly",
    "Arrival",
    "ArrivedPart",
    "ArrivingFile",
    "Artifact",
    "Attempt",
    "AuditEntry",
    "AuditTip",
    "Build",
    "BuildRecord",
    "Channel",
    "Check",
    "CountedBatch",
    "CountedLog",
    "Damage",
    "Delivery",
    "DownloadCount",
    "Event",
    "Followed",
    "Head",
    "HeadMove",
    "Host",
    "LeaseLost",
    "Leased",
    "LogArchive",
    "LogChunk",
    "Mirror",
    "MirrorCopy",
    "MirrorHead",
    "NoToken",
    "NotAllowed",
    "OtherRequest",
    "Packed",
    "Piece",
    "Pieces",
    "Release",
    "Reply",
    "Reproduction",
    "SignedSums",
    "Subject",
    "Subscription",
    "Target",
    "Token",
    "Totals",
    "Transfer",
    "Worker",
    "acts_of",
    "give_standing",
    "holds_token",
    "lines_of",
    "monday",
    "pause",
    "piece_length",
    "standing_of",
]
