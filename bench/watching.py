"""`python -m bench.watching URL PATH COUNT`: so many watchers in one process, without threads.

Says {"held": n} once each has had its first event, and at the end of its input how many lines
came, and how late: the least, the median and the most of all, in seconds.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import sys
import time
from urllib.parse import urlsplit

_WRITTEN = re.compile(rb'"written ([0-9.]+)"')
PATIENCE = 120.0


class Watcher:
    """One connection."""

    def __init__(self, address: tuple[str, int], path: str) -> None:
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n\r\n".encode()
        )
        self.socket.settimeout(0)
        self.is_served = False
        self.is_refused = False
        self._rest = b""

    def read(self, late: list[float]) -> bool:
        """Take what came; false at the end."""
        chunk = self.socket.recv(256 * 1024)
        now = time.time()
        text = self._rest + chunk
        if not self.is_served and b"\n\n" in text.partition(b"\r\n\r\n")[2].replace(b"\r\n", b""):
            self.is_served = text.startswith(b"HTTP/1.1 200") or self.is_served
        if text.startswith(b"HTTP/1.1 5"):
            self.is_refused = True
        cut = text.rfind(b"\n") + 1
        late += [now - float(at) for at in _WRITTEN.findall(text[:cut])]
        self._rest = text[cut:] if self.is_served else text
        return bool(chunk)


def main() -> None:
    """Watch until the input ends."""
    url, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    address = (str(urlsplit(url).hostname), int(urlsplit(url).port or 80))
    chosen = selectors.DefaultSelector()
    watchers: list[Watcher] = []
    late: list[float] = []
    for _ in range(count):
        watcher = Watcher(address, path)
        watchers.append(watcher)
        chosen.register(watcher.socket, selectors.EVENT_READ, watcher)
        _look(chosen, late, 0)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not all(
        each.is_served or each.is_refused for each in watchers
    ):
        _look(chosen, late, 0.1)
    print(json.dumps({"held": sum(each.is_served for each in watchers)}), flush=True)
    late.clear()
    os.set_blocking(0, False)
    while os.read(0, 1) if _ready() else True:
        _look(chosen, late, 0.1)
    late.sort()
    held = sum(each.is_served for each in watchers)
    most = held * round(len(late) / held + 0.499) if held else 0
    ends = [late[0], late[len(late) // 2], late[-1]] if late else [0, 0, 0]
    print(json.dumps({"lines": len(late), "wanted": most, "late": ends}), flush=True)


def _ready() -> bool:
    with selectors.DefaultSelector() as chosen:
        chosen.register(0, selectors.EVENT_READ)
        return bool(chosen.select(0))


def _look(chosen: selectors.BaseSelector, late: list[float], wait: float) -> None:
    for key, _ in chosen.select(wait):
        if not key.data.read(late):
            chosen.unregister(key.fileobj)


if __name__ == "__main__":
    main()
