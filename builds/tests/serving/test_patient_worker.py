"""Requests that come in pieces, together, or at their limits are answered as any other is."""

from __future__ import annotations

import re
import socket
import time
from urllib.parse import urlsplit

import pytest

from builds.tests.webs import MakeWeb, Web, database_url, make_web
from deploy.patient_worker import LONGEST_BODY, USUAL

__all__ = ["database_url", "make_web"]

PAGE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LAST = PAGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.fixture
def web(make_web: MakeWeb) -> Web:
    return make_web(threads=4)


def _connected(web: Web) -> socket.socket:
    address = urlsplit(web.url)
    sock = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _codes(sock: socket.socket) -> list[int]:
    """Of all answers until the server ends."""
    said = b"".join(iter(lambda: sock.recv(2**16), b""))
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", said)]


def _form(size: int) -> bytes:
    """A sign-in that is refused, with a form of so many bytes."""
    head = (
        "POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode() + b"a" * size


def test_a_request_byte_by_byte_is_answered(web: Web) -> None:
    with _connected(web) as sock:
        for byte in PAGE + LAST:
            sock.send(bytes([byte]))
            time.sleep(0.002)
        assert _codes(sock) == [200, 200]


@pytest.mark.parametrize("size", [0, 1, USUAL, LONGEST_BODY - 100, LONGEST_BODY, LONGEST_BODY + 1])
def test_a_body_in_two_parts_is_read_whole(web: Web, size: int) -> None:
    request = _form(size)
    with _connected(web) as sock:
        sock.sendall(request[: len(request) - size // 2])
        time.sleep(0.1)
        began = time.monotonic()
        sock.sendall(request[len(request) - size // 2 :])
        assert _codes(sock) == [403]
        assert time.monotonic() - began < 5


def test_requests_that_come_together_are_answered_in_their_order(web: Web) -> None:
    unknown = PAGE.replace(b"/healthz", b"/releases/download/x/y")
    with _connected(web) as sock:
        sock.sendall(PAGE + unknown + PAGE + LAST)
        assert _codes(sock) == [200, 404, 200, 200]


def test_who_asks_nothing_more_and_who_ends_in_the_middle_are_let_go(web: Web) -> None:
    with _connected(web) as sock:
        sock.sendall(PAGE[:20])
        sock.shutdown(socket.SHUT_WR)
        assert _codes(sock) == []
    with _connected(web) as sock:
        sock.sendall(PAGE)
        began = time.monotonic()
        assert _codes(sock) == [200]
        assert 3 < time.monotonic() - began < 9, "a connection is kept for 5 s"


def test_a_head_without_end_is_refused(web: Web) -> None:
    with _connected(web) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"a" * 2**17)
        assert _codes(sock) == [431]
