"""Reads from web servers that need not be friendly: checked addresses, limits, a second try."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin

from builds.builders.base import BadProduct, BuilderUnavailable, EvaluationFailed, OutOfSpace
from builds.builders.watched import Watch
from builds.outward.addresses import Address, Network, Place, Refused, check_url, resolve
from builds.outward.connection import connect, dressed

BLOCK = 256 * 1024
JSON_LIMIT = 64 * 1024 * 1024
REDIRECTS = 5
BREAKS = 5  # of one download, before somebody else has to try it again
PAUSE = 0.5  # seconds
READ_WITHIN = 60.0  # seconds without a byte
_ASK_EVERY = 0.2
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_MOVED = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_PASSING = frozenset({408, 425, 429})

Given = TypeVar("Given")
Tell = Callable[[int], None]
"""Gets the bytes of a file that are there so far."""


class NotThere(EvaluationFailed):
    """The server answers, and says that there is no such thing."""


@dataclass(slots=True)
class _Line:
    """One call under way: its connection, to cut it off; when it was last heard of; its bytes."""

    heard: float = field(default_factory=time.monotonic)
    count: int = 0
    sock: socket.socket | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def use(self, sock: socket.socket) -> None:
        """Take a connection, unless the call has been ended meanwhile."""
        self.sock = sock
        if self.ended.is_set():
            self.cut()
            raise OSError("the call was ended")

    def cut(self) -> None:
        """End it from another thread, even where it waits for a byte."""
        self.ended.set()
        if self.sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # below TLS


@dataclass(frozen=True, slots=True)
class Web:
    """Web servers at public addresses by https, and those of some networks also by http."""

    networks: tuple[Network, ...]
    watch: Watch

    def json(self, url: str) -> tuple[str, Any]:
        """The JSON at an address, and where it was found in the end. Raises a BuilderError."""

        def read(line: _Line) -> tuple[str, bytes]:
            found, response = _get(url, {"Accept": "application/json"}, self.networks, line)
            with contextlib.closing(response):
                _refuse_bad(found, response)
                return found, response.read(JSON_LIMIT + 1)

        found, data = self._watched(url, read)
        if len(data) > JSON_LIMIT:
            raise BuilderUnavailable(f"{found} answers with more than {JSON_LIMIT} bytes.")
        try:
            return found, json.loads(data)
        except ValueError as error:
            raise BuilderUnavailable(f"{found} does not answer with JSON: {error}.") from error

    def download(self, url: str, path: Path, size: int, sha256: str, tell: Tell) -> None:
        """Fetch a file of known size and digest; what is there of it already is gone on with.

        What is wrong is removed. Raises a BuilderError.
        """
        for left in reversed(range(BREAKS)):
            try:
                self._watched(url, lambda line: self._append(url, path, size, line), tell)
            except BuilderUnavailable:
                if not left:
                    raise
                time.sleep(PAUSE)
            if _size(path) >= size:
                break
        else:
            raise BuilderUnavailable(f"{url} broke off {BREAKS} times at {_size(path)} of {size}.")
        _refuse_other(url, path, size, sha256)

    def _append(self, url: str, path: Path, size: int, line: _Line) -> None:
        have = _size(path)
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if 0 < have < size:
            headers["Range"] = f"bytes={have}-"
        elif have >= size:
            return
        found, response = _get(url, headers, self.networks, line)
        with contextlib.closing(response), path.open("ab") as target:
            if response.status == _UNSATISFIABLE:
                target.truncate(0)
                return
            _refuse_bad(found, response)
            line.count = have
            if not _goes_on(response, have):
                target.truncate(0)
                line.count = 0
            # One byte more than there should be is enough to know that it is another file.
            while block := response.read(min(BLOCK, max(1, size + 1 - line.count))):
                target.write(block)
                line.count += len(block)
                line.heard = time.monotonic()
                if line.count > size:
                    return

    def _watched(
        self, url: str, call: Callable[[_Line], Given], tell: Tell = lambda _: None
    ) -> Given:
        """Do a call in a thread, so that it can be ended at any moment from this one."""
        line = _Line()
        with ThreadPoolExecutor(1) as pool, _in_our_words(url):
            future = pool.submit(call, line)
            try:
                while not wait([future], timeout=_ASK_EVERY).done:
                    self.watch.check(line.heard)
                    if line.count:
                        tell(line.count)
            except BaseException:
                line.cut()
                raise
            return future.result()


def _get(
    url: str, headers: dict[str, str], networks: tuple[Network, ...], line: _Line
) -> tuple[str, HTTPResponse]:
    """What a server answers in the end, and where; redirects are followed as far as allowed."""
    for _ in range(REDIRECTS):
        response = _get_once(url, headers, networks, line)
        location = response.headers.get("Location")
        if response.status not in _MOVED or not location:
            return url, response
        response.close()
        url = urljoin(url, location)
    raise HTTPException(f"more than {REDIRECTS} redirects")


def _get_once(
    url: str, headers: dict[str, str], networks: tuple[Network, ...], line: _Line
) -> HTTPResponse:
    place = check_url(url, networks)
    addresses = resolve(place.host, place.port, networks)
    _refuse_plain(place, addresses, networks)
    raw = connect(addresses, place.port)
    raw.settimeout(READ_WITHIN)
    sock = dressed(raw, place)
    line.use(sock)
    if isinstance(sock, ssl.SSLSocket):
        sock.do_handshake()
    kind = HTTPSConnection if place.is_tls else HTTPConnection
    connection = kind(place.host, place.port)  # it names the host; the socket is connected
    connection.sock = sock
    connection.request("GET", place.target, headers={**headers, "Connection": "close"})
    line.heard = time.monotonic()
    return connection.getresponse()


def _refuse_plain(place: Place, addresses: list[Address], networks: tuple[Network, ...]) -> None:
    """Without TLS anybody on the way can exchange what is fetched, and the digests too."""
    if place.is_tls:
        return
    own = all(any(ip_address(str(each)) in net for net in networks) for each in addresses)
    if not own:
        raise Refused("wants https: what comes by http could be anybody's")


def _refuse_bad(url: str, response: HTTPResponse) -> None:
    if response.status in {_OK, _PARTIAL}:
        return
    said = f"{url} answers {response.status} {response.reason}"
    if response.status in _GONE:
        raise NotThere(f"{said}.")
    if response.status in _PASSING or response.status >= 500:  # noqa: PLR2004 - as HTTP has it
        raise BuilderUnavailable(f"{said}.")
    raise EvaluationFailed(f"{said}; is the address right, and open to the portal?")


def _goes_on(response: HTTPResponse, have: int) -> bool:
    """Whether an answer has the bytes from `have` on; many servers send all of them anew."""
    told = response.headers.get("Content-Range", "")
    return response.status == _PARTIAL and told.startswith(f"bytes {have}-")


def _refuse_other(url: str, path: Path, size: int, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if _size(path) == size and found == sha256:
        return
    length = _size(path)
    path.unlink()
    if length != size:
        raise BadProduct(f"{url} gives {length} bytes or more; it should be {size}.")
    raise BuilderUnavailable(f"{url} gives a file with the SHA-256 {found}; it should be {sha256}.")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextlib.contextmanager
def _in_our_words(url: str) -> Any:
    """What goes wrong on the way, as an error that says whether to try again."""
    try:
        yield
    except Refused as refusal:
        raise EvaluationFailed(
            f"{url} is not asked: it, or where it leads, is no https address in the open "
            f"({str(refusal).partition(',')[0]}); HYDRA_NETWORKS can name networks of your own."
        ) from refusal
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise OutOfSpace(f"The disk is full; {url} could not be stored.") from error
        raise BuilderUnavailable(
            f"{url} can't be read: {error or type(error).__name__}."
        ) from error
