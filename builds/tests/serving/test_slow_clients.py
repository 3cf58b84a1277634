"""Clients that are slow on purpose, twice as many as there are threads: the embedded server stays
there for everybody else, and for those who are slow because their line is."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from builds.tests.models.rows import artifact, channel, published
from builds.tests.webs import MakeWeb, Web, database_url, make_web

__all__ = ["database_url", "make_web"]

THREADS = 16
SIZE = 64 * 2**20
LINE = 100_000  # bytes a second
Client = Callable[[socket.socket, str], None]


def silent(sock: socket.socket, _path: str) -> None:
    """Connects, and says nothing."""


def head_by_bytes(sock: socket.socket, _path: str) -> None:
    """Never comes to the end of its head."""
    _drip(sock, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")


def body_by_bytes(sock: socket.socket, _path: str) -> None:
    """Never comes to the end of a short body."""
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000"
    _drip(sock, b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + form + b"\r\n\r\n")


def long_body_by_bytes(sock: socket.socket, _path: str) -> None:
    """Never comes to the end of a body of which nobody knows how long it gets."""
    form = b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked"
    head = b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + form
    _drip(sock, head + b"\r\n\r\nffff\r\n")


def body_that_stops(sock: socket.socket, _path: str) -> None:
    """Begins a body of which nobody knows how long it gets, and says no more."""
    form = b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked"
    head = b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + form
    sock.sendall(head + b"\r\n\r\nffff\r\n")


def asks_and_stays(sock: socket.socket, _path: str) -> None:
    """Is told that its connection is closed, and does not close it."""
    sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")


def reads_no_file(sock: socket.socket, path: str) -> None:
    """Asks for a file, and reads nothing of it."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())


def reads_no_pages(sock: socket.socket, path: str) -> None:
    """Asks for three pages at once, and reads none."""
    for _ in range(3):
        sock.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


@pytest.fixture
def path(tmp_path: Path, database_url: str) -> str:
    """Where a large file is read."""
    row = artifact(published(channel("demo"), "1"), "large.iso", size=SIZE, role="iso")
    place = tmp_path / "storage" / row.key
    place.parent.mkdir(parents=True)
    with place.open("wb") as file:
        file.truncate(SIZE)
    return f"/{row.key}"


def test_slow_clients_starve_nobody(make_web: MakeWeb, path: str) -> None:
    web = make_web(threads=THREADS)
    ways: list[Client] = [
        *(silent, head_by_bytes, body_by_bytes, long_body_by_bytes),
        *(body_that_stops, asks_and_stays),
        *(reads_no_file, reads_no_pages),
    ]
    urllib.request.urlopen(f"{web.url}/api/v1/openapi.json", timeout=20).close()  # made once
    with _slow_line(web, path) as came:
        for way in ways:
            with _clients(web, path, way):
                time.sleep(0.5)
                for page in ("/healthz", "/api/v1/channels/"):
                    began = time.monotonic()
                    urllib.request.urlopen(web.url + page, timeout=20).close()
                    took = time.monotonic() - began
                    assert took < 2, f"{way.__name__}: {page} took {took:.1f} s"
        before = came()
        time.sleep(1)
        assert came() > before, "who reads slowly, but reads, was cut off"


@contextmanager
def _clients(web: Web, path: str, way: Client) -> Iterator[None]:
    stop = threading.Event()

    def drip(sock: socket.socket) -> None:
        while not stop.wait(0.1):
            sock.send(b"a")

    def run(sock: socket.socket) -> None:
        try:
            way(sock, path)
            drip(sock) if way.__name__.endswith("by_bytes") else stop.wait()
        except OSError:
            stop.wait()  # cut off
        finally:
            sock.close()

    threads = [threading.Thread(target=run, args=[_connected(web)]) for _ in range(2 * THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def _slow_line(web: Web, path: str) -> Iterator[Callable[[], int]]:
    """Somebody who downloads all the time by a slow line; yields what has come so far."""
    stop, came = threading.Event(), 0

    def read(sock: socket.socket) -> None:
        nonlocal came
        reads_no_file(sock, path)
        while not stop.wait(0.1) and (data := sock.recv(LINE // 10)):
            came += len(data)
        sock.close()

    thread = threading.Thread(target=read, args=[_connected(web)])
    thread.start()
    try:
        yield lambda: came
    finally:
        stop.set()
        thread.join()


def _connected(web: Web) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(30)
    address = urlsplit(web.url)
    sock.connect((str(address.hostname), int(address.port or 0)))
    return sock


def _drip(sock: socket.socket, start: bytes) -> None:
    sock.sendall(start)
