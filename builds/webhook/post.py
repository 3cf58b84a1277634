"""One POST to the outside: to the address that was checked, no redirects, bounded in all ways."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from builds.webhook.addresses import Address, Network, Place, check_url, resolve

CONNECT_WITHIN = 5.0  # seconds, for each address
READ_WITHIN = 10.0  # seconds without a byte
DEADLINE = 30.0  # seconds for the handshake, the request and the answer together
MOST_READ = 2048  # bytes of the answer's body


class Unreachable(Exception):
    """The request could not be made or was not answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: the status, and the beginning of the body."""

    status: int
    body: str

    @property
    def is_good(self) -> bool:
        """Whether the receiver has taken what was sent."""
        return 200 <= self.status < 300  # noqa: PLR2004 - as HTTP defines success


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Iterable[Network] = (),
    deadline: float = DEADLINE,
) -> Answer:
    """Send a body; the answer, whatever its status. A redirect is an answer like any other.

    Raises Refused where the URL leads inward, and Unreachable where there is no answer.
    """
    allowed = tuple(allowed)
    place = check_url(url, allowed)
    try:
        connected = connect(resolve(place.host, place.port, allowed), place.port)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{place.host}:{place.port}: {error}") from None
    with contextlib.closing(dressed(connected, place)) as sock, _ends_after(deadline, sock) as end:
        failure = ""
        try:
            answer = _exchange(sock, place, body, headers)
        except (OSError, HTTPException, ValueError) as error:
            failure = str(error) or type(error).__name__
        if end.is_set():  # what was cut off can look like an answer that has ended
            raise Unreachable(f"took longer than {deadline:g} s")
        if failure:
            raise Unreachable(failure)
        return answer


def connect(addresses: Iterable[Address], port: int) -> socket.socket:
    """A connection to the first address that takes one; raises the last one's OSError."""
    failure = OSError("no address")
    for address in addresses:
        try:
            sock = socket.create_connection((str(address), port), timeout=CONNECT_WITHIN)
        except OSError as error:
            failure = error
        else:
            sock.settimeout(READ_WITHIN)
            return sock
    raise failure


def dressed(sock: socket.socket, place: Place) -> socket.socket:
    """The connection with TLS around it where the URL wants that; no handshake yet."""
    if not place.is_tls:
        return sock
    context = ssl.create_default_context()
    return context.wrap_socket(sock, server_hostname=place.host, do_handshake_on_connect=False)


def _exchange(sock: socket.socket, place: Place, body: bytes, headers: Mapping[str, str]) -> Answer:
    if isinstance(sock, ssl.SSLSocket):
        sock.do_handshake()
    kind = HTTPSConnection if place.is_tls else HTTPConnection
    connection = kind(place.host, place.port)  # it names the host; the socket is connected
    connection.sock = sock
    connection.request("POST", place.target, body, {**headers, "Connection": "close"})
    response = connection.getresponse()
    with contextlib.closing(response):
        return Answer(response.status, response.read(MOST_READ).decode(errors="replace"))


@contextlib.contextmanager
def _ends_after(seconds: float, sock: socket.socket) -> Iterator[threading.Event]:
    """Cut a connection off after a while, even where a byte comes now and then."""
    ended = threading.Event()

    def cut() -> None:
        ended.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which would wait

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield ended
    finally:
        timer.cancel()
