"""Where a webhook can't go: inward, by whatever name; and how long and how much it waits for."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from builds import webhook
from builds.models import Subscription
from builds.tests.notices.conftest import LOOPBACK
from builds.tests.notices.receiver import Receiver, status

INWARD = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fec0::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
]
PUBLIC = ["93.184.215.14", "2606:4700:4700::1111", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]


def url_of(address: str) -> str:
    return f"http://[{address}]:8080/" if ":" in address else f"http://{address}:8080/"


@pytest.mark.parametrize("address", INWARD)
def test_address_that_leads_inward_is_refused_before_anything_is_sent(address: str) -> None:
    with pytest.raises(webhook.Refused, match="no public address"):
        webhook.check_url(url_of(address))
    with pytest.raises(webhook.Refused, match="no public address"):
        webhook.post(url_of(address), b"", {})


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_accepted(address: str) -> None:
    assert webhook.check_url(url_of(address)).host == address


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
def test_other_ways_to_write_an_address_are_seen_through(host: str, receiver: Receiver) -> None:
    """The C library reads these as 127.0.0.1."""
    port = receiver.url.split(":")[2]
    with pytest.raises(webhook.Refused, match=r"127\.0\.0\.1 is no public address"):
        webhook.post(f"http://{host}:{port}", b"", {})
    assert not receiver.requests


def test_name_that_the_resolver_leads_inward_is_refused(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "localhost")
    with pytest.raises(webhook.Refused, match="no public address"):
        webhook.post(url, b"", {})
    assert not receiver.requests
    assert webhook.post(url, b"", {}, allowed=LOOPBACK).is_good


@dataclass
class Names:
    """What the resolver answers for hooks.example.org, in turn."""

    answers: list[list[str]]
    asked: int = 0


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A resolver that knows one name; a name server of the tests' own would need root."""
    real, told = socket.getaddrinfo, Names([])

    def getaddrinfo(host: str, port: int, *args: Any, **fields: Any) -> Any:
        if host != "hooks.example.org":
            return real(host, port, *args, **fields)
        answer = told.answers[min(told.asked, len(told.answers) - 1)]
        told.asked += 1
        return [entry for address in answer for entry in real(address, port, *args, **fields)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return told


def test_name_with_one_inward_address_among_public_ones_is_refused(names: Names) -> None:
    names.answers = [["93.184.215.14", "10.0.0.1"]]
    with pytest.raises(webhook.Refused, match=r"10\.0\.0\.1"):
        webhook.post("http://hooks.example.org/", b"", {})


def test_name_is_looked_up_once_so_that_a_second_answer_is_never_used(
    names: Names, receiver: Receiver
) -> None:
    names.answers = [["127.0.0.1"], ["127.0.0.2"]]
    url = receiver.url.replace("127.0.0.1", "hooks.example.org")
    allowed = [ip_network("127.0.0.1/32")]
    assert webhook.post(url, b"x", {}, allowed=allowed).is_good
    assert names.asked == 1
    port = receiver.url.split(":")[2].split("/")[0]
    assert receiver.requests[0].headers["Host"] == f"hooks.example.org:{port}"
    with pytest.raises(webhook.Refused, match=r"127\.0\.0\.2"):
        webhook.post(url, b"x", {}, allowed=allowed)


def test_second_address_is_tried_where_the_first_takes_no_connection(
    names: Names, receiver: Receiver
) -> None:
    names.answers = [["::1", "127.0.0.1"]]
    url = receiver.url.replace("127.0.0.1", "hooks.example.org")
    assert webhook.post(url, b"x", {}, allowed=LOOPBACK).is_good


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "hooks.example.org",
        "http://",
        "http://user:word@hooks.example.org/",
        "http://hooks.example.org/#part",
        "http://hooks.example.org:99999/",
        "http://hooks.example.org/a b",
        "http://hooks.example.org/\r\nX-Other: 1",
        "http://[::1",
    ],
)
def test_url_that_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(webhook.Refused):
        webhook.check_url(url)


def test_admin_is_told_why_a_url_is_refused() -> None:
    with pytest.raises(ValidationError, match="no public address"):
        Subscription(name="x", url="http://169.254.169.254/latest/meta-data").clean()
    with pytest.raises(ValidationError, match="unknown: ping"):
        Subscription(name="x", url="https://example.org/", kinds=["ping"]).clean()


def test_receiver_that_never_comes_to_an_end_is_left(receiver: Receiver) -> None:
    """A byte now and then would hold a sender for ever if only silence were bounded."""
    ended = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not ended.wait(0.05):
            handler.wfile.write(b"X-Again: and again\r\n"[:2])

    receiver.answers.append(drip)
    started = time.monotonic()
    try:
        with pytest.raises(webhook.Unreachable, match=r"took longer than 0\.5 s"):
            webhook.post(receiver.url, b"x", {}, allowed=LOOPBACK, deadline=0.5)
    finally:
        ended.set()
    assert time.monotonic() - started < 3


def test_only_the_beginning_of_a_long_answer_is_read(receiver: Receiver) -> None:
    receiver.answers.append(status(500, b"x" * 10_000_000))
    answer = webhook.post(receiver.url, b"x", {}, allowed=LOOPBACK)
    assert (answer.status, len(answer.body)) == (500, 2048)


def test_what_is_no_http_at_all_is_unreachable(receiver: Receiver) -> None:
    receiver.answers.append(lambda handler: None)
    with pytest.raises(webhook.Unreachable):
        webhook.post(receiver.url, b"x", {}, allowed=LOOPBACK)
    with pytest.raises(webhook.Unreachable, match="refused"):
        webhook.post("http://127.0.0.1:1/", b"x", {}, allowed=LOOPBACK)


@dataclass
class TlsServer:
    """An HTTPS receiver for hooks.example.org; the names that clients asked for."""

    port: int
    authority: Path
    asked_for: list[str | None]


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TlsServer]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", key, "-out", certificate, "-days", "2"),
            *("-subj", "/CN=hooks", "-addext", "subjectAltName=DNS:hooks.example.org"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked_for: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
                with context.wrap_socket(plain, server_side=True) as sock:
                    while not sock.recv(65536).endswith(b"x"):
                        pass
                    sock.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
            except ssl.SSLError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield TlsServer(listening.getsockname()[1], certificate, asked_for)
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def test_tls_is_verified_for_the_name_though_the_address_is_pinned(
    names: Names, tls: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.answers = [["127.0.0.1"]]
    url = f"https://hooks.example.org:{tls.port}/"
    with pytest.raises(webhook.Unreachable, match="certificate verify failed"):
        webhook.post(url, b"x", {}, allowed=LOOPBACK)

    monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority))
    assert webhook.post(url, b"x", {}, allowed=LOOPBACK).status == 204
    assert tls.asked_for[-1] == "hooks.example.org"
    with pytest.raises(webhook.Unreachable, match="IP address mismatch"):
        webhook.post(f"https://127.0.0.1:{tls.port}/", b"x", {}, allowed=LOOPBACK)
