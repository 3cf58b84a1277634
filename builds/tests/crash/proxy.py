"""A TCP proxy before the storage that can refuse, hang and stop half-way."""

from __future__ import annotations

import contextlib
import socket
import threading
from enum import StrEnum


class Mood(StrEnum):
    """How the storage is just now."""

    GOOD = "good"
    ERROR = "error"  # answers 503
    HANG = "hang"  # takes everything, answers nothing
    HALF = "half"  # breaks off in the middle of what it is sent


ANSWER = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
HALF_WAY = 64 * 1024


class Proxy:
    """Listens on loopback and hands on to a server, as its mood is."""

    def __init__(self, server: int) -> None:
        self.mood = Mood.GOOD
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def turn(self, mood: Mood) -> None:
        """Be like this from now on; connections that are open break."""
        self.mood = mood
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            with client, contextlib.suppress(OSError):
                {Mood.ERROR: self._refuse, Mood.HANG: self._hang}.get(self.mood, self._pass)(client)
        finally:
            self._open.discard(client)

    def _refuse(self, client: socket.socket) -> None:
        client.recv(64 * 1024)
        client.sendall(ANSWER)

    def _hang(self, client: socket.socket) -> None:
        while client.recv(64 * 1024):
            pass

    def _pass(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._server)) as server:
            self._open.add(server)
            try:
                back = threading.Thread(target=_pump, args=[server, client, None], daemon=True)
                back.start()
                _pump(client, server, HALF_WAY if self.mood == Mood.HALF else None)
                if self.mood != Mood.HALF:
                    back.join()
            finally:
                self._open.discard(server)


def _pump(source: socket.socket, target: socket.socket, most: int | None) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while data := source.recv(64 * 1024):
            passed += len(data)
            if most is not None and passed >= most:
                source.shutdown(socket.SHUT_RDWR)
                break
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
