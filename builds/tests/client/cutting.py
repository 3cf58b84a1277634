"""A way to a web server that breaks off: each connection carries so many bytes of answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cutter:
    """Passes on to a port of this machine; `limits` are the bytes that connections carry."""

    def __init__(self, port: int, limits: list[int]) -> None:
        self._port = port
        self._limits = limits
        self._server = socket.create_server(("127.0.0.1", 0))
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self) -> None:
        self._server.close()

    def run(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=[client], daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            head = client.recv(65536)
            self.requests.append(head.decode())
            # Some requests are small records, which are let through.
            is_file = b"/releases/download/" in head.split(b"\r\n")[0] and b"SUMS" not in head
            is_file = is_file and b".json" not in head.split(b"\r\n")[0]
            limit = self._limits.pop(0) if is_file and self._limits else 10**12
            server.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            with contextlib.suppress(OSError):
                while limit > 0 and (data := server.recv(min(65536, limit))):
                    client.sendall(data)
                    limit -= len(data)


@contextmanager
def cutting(port: int, limits: list[int]) -> Iterator[Cutter]:
    """Run one meanwhile."""
    cutter = Cutter(port, limits)
    threading.Thread(target=cutter.run, daemon=True).start()
    try:
        yield cutter
    finally:
        cutter.close()
