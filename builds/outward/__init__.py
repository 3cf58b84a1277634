"""Requests to the outside: to addresses that were checked, no redirects, bounded in all ways."""

from builds.outward.addresses import Network, Refused, check_url, network
from builds.outward.connection import Unreachable, exchange
from builds.outward.get import Body, NotThere, read, reading, size_of

__all__ = [
    "Body",
    "Network",
    "NotThere",
    "Refused",
    "Unreachable",
    "check_url",
    "exchange",
    "network",
    "read",
    "reading",
    "size_of",
]
