"""One request and its answer: to the address that was checked, no redirects, bounded in time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection

from builds.outward.addresses import Address, Network, Place, check_url, resolve

CONNECT_WITHIN = 5.0  # seconds, for each address
READ_WITHIN = 10.0  # seconds without a byte
DEADLINE = 30.0  # seconds for the handshake, the request and the answer together


class Unreachable(Exception):
    """The request could not be made or was not answered; the text says why."""


class Exchange:
    """An answer whose body is still to be read; every read raises Unreachable."""

    def __init__(
        self, response: HTTPResponse, in_words: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._response = response
        self._in_words = in_words
        self.status = response.status

    def header(self, name: str) -> str:
        """A header's value, "" where it is missing."""
        return self._response.headers.get(name, "")

    def read(self, size: int) -> bytes:
        """The next bytes of the body, so many or fewer; none at its end."""
        with self._in_words():
            return self._response.read(size)
        raise AssertionError("unreachable: a failure is raised")


@contextlib.contextmanager
def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    allowed: Iterable[Network] = (),
    deadline: float = DEADLINE,
) -> Iterator[Exchange]:
    """Make one request; a redirect is an answer like any other.

    After `deadline` seconds the connection is cut, the block's reads too. Raises Refused where
    the URL leads inward, and Unreachable where there is no answer.
    """
    allowed = tuple(allowed)
    place = check_url(url, allowed)
    try:
        connected = connect(resolve(place.host, place.port, allowed), place.port)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{place.host}:{place.port}: {error}") from None
    with contextlib.closing(dressed(connected, place)) as sock, _ends_after(deadline, sock) as end:
        in_words = partial(_in_words, end, deadline)
        with in_words():
            response = _ask(sock, place, method, body, headers)
        with contextlib.closing(response):
            yield Exchange(response, in_words)


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


def _ask(
    sock: socket.socket, place: Place, method: str, body: bytes | None, headers: Mapping[str, str]
) -> HTTPResponse:
    if isinstance(sock, ssl.SSLSocket):
        sock.do_handshake()
    kind = HTTPSConnection if place.is_tls else HTTPConnection
    connection = kind(place.host, place.port)  # it names the host; the socket is connected
    connection.sock = sock
    connection.request(method, place.target, body, {**headers, "Connection": "close"})
    return connection.getresponse()


@contextlib.contextmanager
def _in_words(end: threading.Event, deadline: float) -> Iterator[None]:
    """What goes wrong in the block is Unreachable, and says so where the time was over."""
    failure = ""
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        failure = str(error) or type(error).__name__
    if end.is_set():  # what was cut off can look like an answer that has ended
        raise Unreachable(f"took longer than {deadline:g} s")
    if failure:
        raise Unreachable(failure)


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
