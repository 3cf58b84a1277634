"""Who has connected to a unix socket, as the kernel knows it: no one can say so himself."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Self

_CREDENTIALS = struct.Struct("iII")  # struct ucred
_GROUP = struct.Struct("I")
_SO_PEERGROUPS = 59  # Linux 4.13; Python has no name for it
_MOST = 1024  # bytes that Python asks the kernel for


@dataclass(frozen=True, slots=True)
class Peer:
    """A process at the time when it connected; `groups` has its effective and further groups."""

    pid: int
    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, connection: socket.socket) -> Self:
        """The one at the other end. Raises OSError."""
        size = _CREDENTIALS.size
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid, uid, gid = _CREDENTIALS.unpack(told)
        return cls(pid, uid, frozenset({gid, *_further(connection)}))

    def __str__(self) -> str:
        groups = ", ".join(str(group) for group in sorted(self.groups))
        return f"process {self.pid} of user {self.uid}, groups {groups}"


def _further(connection: socket.socket) -> list[int]:
    """The other groups; none are known where the kernel doesn't say, or has too many to say."""
    try:
        told = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST)
    except OSError:
        return []
    return [group for (group,) in _GROUP.iter_unpack(told)]
