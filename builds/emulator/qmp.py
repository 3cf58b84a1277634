"""Speaks with a running QEMU: its machine protocol, one command at a time."""

from __future__ import annotations

import json
import socket
from typing import Any

_PATIENCE = 20.0


class MonitorError(Exception):
    """QEMU did not answer, or refused a command."""


class Monitor:
    """QEMU's side of a socket, greeted and ready for commands. Raises MonitorError."""

    def __init__(self, stream: socket.socket) -> None:
        stream.settimeout(_PATIENCE)
        self._stream = stream
        self._lines = stream.makefile("rb")
        try:
            self._next("QMP")
            self.execute("qmp_capabilities")
        except MonitorError:
            self.close()
            raise

    def execute(self, command: str, **arguments: object) -> Any:
        """Run one command; gives what it returns. Raises MonitorError where QEMU refuses."""
        request = {"execute": command, "arguments": arguments}
        try:
            self._stream.sendall(json.dumps(request).encode() + b"\n")
        except OSError as gone:
            raise MonitorError(f"QEMU has ended before {command}.") from gone
        return self._next("return")

    def close(self) -> None:
        """Let go of the socket."""
        self._lines.close()
        self._stream.close()

    def _next(self, member: str) -> Any:
        """The next answer with this member; events in between are passed over."""
        while True:
            try:
                line = self._lines.readline()
                answer = json.loads(line) if line else None
            except (OSError, ValueError) as broken:
                raise MonitorError(f"QEMU does not answer: {broken}.") from broken
            if answer is None:
                raise MonitorError("QEMU has ended.")
            if "error" in answer:
                raise MonitorError(str(answer["error"].get("desc", answer["error"])))
            if member in answer:
                return answer[member]
