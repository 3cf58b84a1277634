"""How the signer is spoken to: a length of four bytes, the most significant first, then JSON."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

LENGTH = struct.Struct(">I")
LARGEST_QUESTION = 4096
LARGEST_ANSWER = 1024 * 1024


class BadFrame(Exception):
    """What came is no message of this protocol; the text says why."""


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send one message. Raises OSError."""
    data = json.dumps(message).encode()
    connection.sendall(LENGTH.pack(len(data)) + data)


def receive(connection: socket.socket, largest: int) -> dict[str, Any]:
    """Wait for one message. Raises BadFrame, and OSError where the other end is gone."""
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    if length > largest:
        raise BadFrame(f"a message has {largest} bytes at most, and not {length}")
    return parse(_exactly(connection, length))


def parse(data: bytes) -> dict[str, Any]:
    """A message from its bytes. Raises BadFrame."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        raise BadFrame("a message is JSON") from None
    if not isinstance(message, dict):
        raise BadFrame("a message is an object")
    return message


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionResetError("the other end has closed the connection")
        parts += part
    return bytes(parts)
