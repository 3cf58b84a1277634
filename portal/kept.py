"""Gives out again what Django answered for what moves, for as long as its file is the same.

These few small files are asked for by every machine that boots, and change once a week. What is
kept is Django's own answer, so that nothing of it is said in two places; whether it still holds is
asked of the file in the storage each time: it is replaced when what it says changes, and a head
that moves changes its time at once. The API's record of the latest goes by the file that tells
mirrors the same; what else changes it, such as a check that is made later, is a second late at
most. Where the storage is no folder nothing is kept.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import SuspiciousOperation

from builds import meters
from builds.choices import System
from builds.pipeline import naming
from builds.storage import ROOT, artifacts, channel_key
from portal.measured import FILE, ROUTE
from portal.request_id import HEADER, own_id

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MOST_KEPT = 256  # answers
LARGEST = 2**16  # bytes of one
PREFIX = f"/{ROOT}/"
RECORD = re.compile(r"/api/v1/latest/([^/]+)/([^/]+)/")
RECORD_SECONDS = 1.0  # until Django is asked for a record again
# Whoever asks for one answer of these asks for the same as everybody else who does.
_SAME = (
    "REQUEST_METHOD",
    "PATH_INFO",
    "QUERY_STRING",
    "HTTP_HOST",
    "HTTP_IF_NONE_MATCH",
    "wsgi.url_scheme",
    "HTTP_X_FORWARDED_PROTO",
)
# What makes an answer that is kept for nobody: parts, people, conditions that are seldom used.
_OWN = frozenset(
    {
        *("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_COOKIE", "HTTP_AUTHORIZATION"),
        *("HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"),
        "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
    }
)
_KEPT_STATUSES = ("200 ", "304 ")

Headers = list[tuple[str, str]]
Print = tuple[int, int, int]


@dataclass(slots=True)
class Kept:
    """An answer, with how the file was when it was made, until when it is good by the clock that
    never goes back, and what to count it as."""

    file: str
    as_of: Print
    until: float
    status: str
    headers: Headers
    body: bytes
    route: str
    count: Callable[[], None]
    observe: Callable[[float], None]


class KeptAnswers:
    """WSGI in front of Django; all but the plain question for a file that moves goes through."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._kept: dict[tuple[str, ...], Kept] = {}
        self._names = frozenset(naming.moving_names()) - {naming.history_name()}
        self._records = {system.value: naming.latest_name(system) for system in System}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer from what is kept, or let Django answer."""
        if not environ["PATH_INFO"].startswith((PREFIX, "/api/v1/latest/")):
            return self._application(environ, start_response)
        started = time.monotonic()
        asked = tuple(environ.get(name, "") for name in _SAME)
        kept = self._kept.get(asked)
        if kept is not None and kept.until < started:
            kept.until, kept = started + RECORD_SECONDS, None  # one asks, the others don't wait
        if kept is not None and environ.keys().isdisjoint(_OWN) and _print(kept.file) == kept.as_of:
            environ[ROUTE], environ[FILE] = kept.route, None
            kept.observe(time.monotonic() - started)
            kept.count()
            own = own_id(environ.get("HTTP_X_REQUEST_ID", ""))
            start_response(kept.status, [*kept.headers, (HEADER, own)])
            return [kept.body]
        return self._ask(asked, environ, start_response)

    def _ask(
        self, asked: tuple[str, ...], environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        file = self._file(environ)
        # How the file is before Django reads anything: what changes meanwhile is not taken for it.
        as_of = _print(file) if file else None
        if file is None or as_of is None:
            return self._application(environ, start_response)
        begun: list[Any] = []

        def start(status: str, headers: Headers, *more: Any) -> Any:
            begun[:] = [status, headers]
            return start_response(status, headers, *more)

        answer = self._application(environ, start)
        status, headers = begun
        if not status.startswith(_KEPT_STATUSES) or not _is_small(headers):
            self._kept.pop(asked, None)
            return answer
        body = b"".join(answer)
        getattr(answer, "close", lambda: None)()
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        route, method, code = environ[ROUTE], environ["REQUEST_METHOD"], status.split(" ", 1)[0]
        self._kept[asked] = Kept(
            file=file,
            as_of=as_of,
            until=time.monotonic() + RECORD_SECONDS if RECORD.fullmatch(asked[1]) else float("inf"),
            status=status,
            headers=[(name, value) for name, value in headers if name != HEADER],
            body=body,
            route=route,
            count=meters.REQUESTS.labels(route, method, code).inc,
            observe=meters.SECONDS.labels(route).observe,
        )
        return [body]

    def _file(self, environ: WSGIEnvironment) -> str | None:
        """Where the file lies that is asked for; None for whatever else it is."""
        record = RECORD.fullmatch(environ["PATH_INFO"])
        if record:
            channel, name = record[1], self._records.get(record[2], "")
        else:
            channel, _, name = environ["PATH_INFO"].removeprefix(PREFIX).partition("/")
        is_plain = environ["REQUEST_METHOD"] in {"GET", "HEAD"} and environ.keys().isdisjoint(_OWN)
        if name not in self._names or environ.get("QUERY_STRING") or not is_plain:
            return None
        try:
            path = artifacts().local_path(channel_key(channel, name))
        except (ValueError, SuspiciousOperation):  # no name of a channel
            return None
        return str(path) if path else None


def _is_small(headers: Headers) -> bool:
    """Whether it is short, and the same for whoever asks the same."""
    told = {name.lower(): value for name, value in headers}
    if told.keys() & {"vary", "set-cookie"}:
        return False
    return int(told.get("content-length", "0")) <= LARGEST


def _print(file: str) -> Print | None:
    """What changes whenever a file is replaced or outdated."""
    try:
        found = os.stat(file)  # noqa: PTH116 - for each request; a Path costs more than the rest
    except (OSError, ValueError):  # the latter for a NUL byte
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
