"""Keeps what a guest writes to its serial port, and finds patterns in it."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

TAIL_LIMIT = 256 * 1024
FILE_LIMIT = 16 * 1024 * 1024
_CHUNK = 16 * 1024


class Console:
    """The serial port of a running guest, read by a thread of its own.

    The newest 256 KiB are held; a file, where one is given, gets the first 16 MiB, and `echo`
    every piece as it comes.
    """

    def __init__(
        self,
        stream: socket.socket,
        file: Path | None = None,
        echo: Callable[[bytes], object] | None = None,
    ) -> None:
        self._stream = stream
        self._file = file
        self._echo = echo
        self._news = threading.Condition()
        self._tail = bytearray()
        self._searched = 0
        self.closed = False
        self._reader = threading.Thread(target=self._read, name="console", daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """The newest 256 KiB, escapes and all, undecodable bytes replaced."""
        with self._news:
            return self._tail.decode("utf-8", "replace")

    def find(self, pattern: re.Pattern[bytes], timeout: float) -> re.Match[bytes] | None:
        """The next match behind the one found before; None after so many seconds without.

        Comes back early where the guest has closed its console.
        """
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                found = pattern.search(self._tail, self._searched)
                if found:
                    self._searched = found.end()
                    # A copy: the bytes under the match move on while others look at it.
                    return pattern.search(bytes(self._tail), found.start())
                left = deadline - time.monotonic()
                if self.closed or left <= 0:
                    return None
                self._news.wait(left)

    def send(self, text: str | bytes) -> None:
        """Type something."""
        self._stream.sendall(text if isinstance(text, bytes) else text.encode())

    def close(self) -> None:
        """Read what is left, then let go. The guest must have ended."""
        self._reader.join()
        self._stream.close()

    def _read(self) -> None:
        if self._file is None:
            self._copy(None)
            return
        with self._file.open("wb") as file:
            self._copy(file)

    def _copy(self, file: BinaryIO | None) -> None:
        written = 0
        while chunk := self._receive():
            if file and written < FILE_LIMIT:
                written += file.write(chunk[: FILE_LIMIT - written])
                file.flush()
            if self._echo:
                self._echo(chunk)
            self._keep(chunk)
        with self._news:
            self.closed = True
            self._news.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._stream.recv(_CHUNK)
        except OSError:
            return b""

    def _keep(self, chunk: bytes) -> None:
        with self._news:
            self._tail += chunk
            surplus = max(0, len(self._tail) - TAIL_LIMIT)
            del self._tail[:surplus]
            self._searched = max(0, self._searched - surplus)
            self._news.notify_all()
