"""A client's connection, which is never waited for longer than others can wait behind it.

It never blocks. What a client does not take at once is held: memory up to a limit, and a file by
its number and place. Whoever has to wait for the client all the same (for more of a long body, for
room in a long answer) waits here, and gives it up where it is too slow.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Any, cast

PATIENCE = 60.0  # seconds in which a client takes or sends a byte at least
HURRY = 0.5  # the same, while others wait for a thread
RATE = 1024  # bytes a second that a thread waits for, after the first PATIENCE seconds
RATE_IN_HURRY = 16 * 1024  # the same while others wait, after the first HURRY seconds
MOST_HELD = 2**18  # bytes of memory that are held for a client; then its thread waits
MOST_AT_ONCE = 64  # pieces of memory in one call
BLOCK = 2**21  # bytes of a file at a time, so that all who read have their turn


def too_slow() -> ConnectionResetError:
    """What gunicorn and Django take for a client that has gone."""
    return ConnectionResetError(errno.ECONNRESET, "this client is too slow")


class PatientSocket(socket.socket):
    """The connection that `taken` was, which is closed by that."""

    def __init__(self, taken: socket.socket, is_short: Callable[[], bool]) -> None:
        super().__init__(taken.family, taken.type, taken.proto, fileno=taken.detach())
        super().settimeout(0)
        self._patience = PATIENCE
        self._is_short = is_short
        self._held: deque[memoryview | FilePart] = deque()
        self._size = 0
        self._waited, self._moved = 0.0, 0
        self.is_corked = False

    def begin(self) -> None:
        """Another request begins: nothing that was slow before counts."""
        self._waited, self._moved = 0.0, 0

    def setblocking(self, _flag: object) -> None:
        """It never does; gunicorn asks for both."""

    def settimeout(self, value: float | None) -> None:
        """Wait no longer than that for one read; 0 or None ends that."""
        self._patience = min(value or PATIENCE, PATIENCE)

    def peek(self, size: int) -> bytes:
        """What has come and was not read yet."""
        return super().recv(size, socket.MSG_PEEK)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Read what comes next, and wait for it. Raises ConnectionResetError."""
        while True:
            try:
                data = super().recv(size, flags)
            except BlockingIOError:
                self._wait(select.POLLIN)
            else:
                self._moved += len(data)
                return data

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """Send or hold it. Raises ConnectionResetError where so much is held that it waits."""
        self._held.append(memoryview(data))
        self._size += len(data)
        if not self.is_corked:
            self.flush()
        while self._size > MOST_HELD:
            if not self.flush():
                self._wait(select.POLLOUT)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Hold a part of a file, which must stay open until all is flushed."""
        size = os.fstat(file.fileno()).st_size - offset if count is None else count
        self._held.append(FilePart(file.fileno(), offset, size))
        return size

    def flush(self, blocks: int | None = None) -> bool:
        """Send what the client takes now, at most so many blocks of files; whether that is all."""
        while self._held:
            try:
                if isinstance(self._held[0], FilePart):
                    if blocks == 0:
                        return False
                    blocks = None if blocks is None else blocks - 1
                    if self._held[0].send_block(self.fileno()):
                        self._held.popleft()
                else:
                    self._send_memory()
            except BlockingIOError:
                return False
        return True

    def settle(self, seconds: float) -> bool:
        """Flush for as long as the client takes more within so many seconds; whether that is all.

        What was corked is no longer.
        """
        self.is_corked = False
        while not self.flush():
            if not self.is_ready(select.POLLOUT, seconds):
                return False
        return True

    def is_ready(self, event: int, seconds: float) -> bool:
        """Whether it can be read or written within so many seconds, or has ended."""
        poller = select.poll()
        poller.register(self.fileno(), event)
        return bool(poller.poll(seconds * 1000))

    def drop(self) -> None:
        """Hold nothing any more. A file's place is then where its sending has ended."""
        for part in self._held:
            if isinstance(part, FilePart):
                os.lseek(part.number, part.at, os.SEEK_SET)
        self._held.clear()
        self._size = 0
        self.is_corked = False

    def _send_memory(self) -> None:
        parts = list(takewhile(lambda part: not isinstance(part, FilePart), self._held))
        sent = self.sendmsg(cast("list[memoryview]", parts[:MOST_AT_ONCE]))
        self._size -= sent
        self._moved += sent
        while self._held and isinstance(part := self._held[0], memoryview) and sent >= len(part):
            sent -= len(part)
            self._held.popleft()
        if sent:
            self._held[0] = cast("memoryview", self._held[0])[sent:]

    def _wait(self, event: int) -> None:
        began = time.monotonic()
        while not self.is_ready(event, HURRY):
            if self._is_short() or time.monotonic() - began > self._patience:
                raise too_slow()
        self._waited += time.monotonic() - began
        grace, rate = (HURRY, RATE_IN_HURRY) if self._is_short() else (PATIENCE, RATE)
        if self._waited > grace and self._moved < rate * self._waited:
            raise too_slow()


class FilePart:
    """What is to be sent of a file."""

    def __init__(self, number: int, at: int, left: int) -> None:
        self.number, self.at, self._left = number, at, left

    def send_block(self, to: int) -> bool:
        """Send a block at most; whether that was the last. Raises BlockingIOError, or another
        OSError where the file has become shorter."""
        if self._left:
            sent = os.sendfile(to, self.number, self.at, min(self._left, BLOCK))
            if not sent:
                raise OSError(errno.EPIPE, "the file is shorter than it was")
            self.at += sent
            self._left -= sent
        return not self._left
