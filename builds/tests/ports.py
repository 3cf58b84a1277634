"""Ports for the servers of tests: given to one program only, even where many ask at once."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import socket
import tempfile
from pathlib import Path

PORTS = (20000, 32000)  # below those that the kernel gives to connections
_given: set[int] = set()


def free_port() -> int:
    """A TCP port of loopback that nobody listens on, and that no other test is given.

    It is this process's until it ends, however long its server takes to listen: the byte of a
    file that is called for is locked, across all processes of this machine.
    """
    while True:
        port = secrets.choice(range(*PORTS))
        if port not in _given and _ours(port) and _unused(port):
            _given.add(port)
            return port


def _ours(port: int) -> bool:
    with contextlib.suppress(OSError):
        fcntl.lockf(_locks(os.getpid()), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        return True
    return False


@functools.cache
def _locks(_pid: int) -> int:
    """The file of locks. It stays open: locks end with the first that is closed."""
    path = Path(tempfile.gettempdir(), "portal-test-ports")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _unused(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
