"""How the signer is spoken to: a length of four bytes, the most significant first, then JSON.

Whole messages have a time, not their parts: who sends or takes a byte now and then is late, too.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

LENGTH = struct.Struct(">I")
LARGEST_QUESTION = 4096
LARGEST_ANSWER = 1024 * 1024


class BadFrame(Exception):
    """What came is no message of this protocol; the text says why."""


def send(connection: socket.socket, message: dict[str, Any], *, within: float) -> None:
    """Send one message. Raises OSError, and TimeoutError where it isn't taken in these seconds."""
    data = json.dumps(message).encode()
    connection.settimeout(within)
    connection.sendall(LENGTH.pack(len(data)) + data)


def receive(connection: socket.socket, largest: int, *, within: float) -> dict[str, Any]:
    """Wait for one message of so many bytes at most, for so many seconds.

    Raises BadFrame, OSError where the other end is gone, and TimeoutError where it is late.
    """
    until = time.monotonic() + within
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size, until))
    if length > largest:
        raise BadFrame(f"a message has {largest} bytes at most, and not {length}")
    return parse(_exactly(connection, length, until))


def parse(data: bytes) -> dict[str, Any]:
    """A message from its bytes. Raises BadFrame."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        raise BadFrame("a message is JSON") from None
    if not isinstance(message, dict):
        raise BadFrame("a message is an object")
    return message


def _exactly(connection: socket.socket, size: int, until: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the other end is late")
        connection.settimeout(left)
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionResetError("the other end has closed the connection")
        parts += part
    return bytes(parts)
