"""Gives out again what Django answered, for as long as that is true, or for a second.

Two kinds of answers are kept, both as Django gave them, so that nothing of them is said in two
places:

- the small files that move: every machine that boots asks for them, and they change once a week.
  Whether such an answer still holds is asked of the file in the storage each time: it is replaced
  when what it says changes, and a head that moves changes its time at once. The API's record of the
  latest goes by the file that tells mirrors the same; what else changes it, such as a check that is
  made later, is a second late at most.
- pages, lists, feeds and scripts that are the same for all who are not signed in, in the same
  language and form: for a second, and for no longer than until one has asked for them after a head
  has moved, which changes the time of the folder of all channels.

Where the storage is no folder files are not kept, and a second is a second.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import SuspiciousOperation

from builds import meters
from builds.choices import System
from builds.pipeline import naming
from builds.storage import ROOT, artifacts, channel_key
from builds.storage.term import Term
from portal.measured import FILE, ROUTE
from portal.reader import Reader, reader
from portal.request_id import HEADER, own_id

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MOST_KEPT = 256  # answers
LARGEST = 2**17  # bytes of one
PREFIX = f"/{ROOT}/"
RECORDS = "/api/v1/latest/"
RECORD = re.compile(rf"{RECORDS}([^/]+)/([^/]+)/")
SECONDS = 1.0  # until Django is asked again for what no file tells of
PATIENCE = 5.0  # seconds that one waits for what another has asked; then he asks himself
# What is the same for all. None of them is about somebody, changes anything, or is watched.
PAGES = frozenset(
    {
        *("dashboard", "channel-detail", "latest-detail", "release-detail", "build-list"),
        *("stats", "verify", "mirrors", "feed", "channel-feed", "stream", "schema"),
        *("boot-menu", "channel-script", "pinned-channel-script"),
        *("kexec-script", "pinned-kexec-script"),
        *("badge", "badge-endpoint", "badge-reproduced"),
        *("api:channels", "api:channel", "api:releases", "api:release", "api:builds"),
    }
)
# Whoever asks for one answer of these asks for the same as everybody else who does.
_SAME = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
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
# What a page may vary by: a cookie is never among what was asked, the others make a Reader.
_READERS = frozenset({"cookie", "accept", "user-agent", "accept-language", "accept-encoding"})
_KEPT_STATUSES = ("200 ", "304 ")

Headers = list[tuple[str, str]]
Asked = tuple[str | Reader, ...]


@dataclass(slots=True)
class Kept:
    """An answer, until when it is good by the clock that never goes back, what to count it as,
    and who asks Django for the next."""

    term: Term
    until: float
    status: str
    headers: Headers
    body: bytes
    route: str
    count: Callable[[], None]
    observe: Callable[[float], None]
    asking: threading.Lock = field(default_factory=threading.Lock)


class KeptAnswers:
    """WSGI in front of Django; all but plain questions goes through."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._kept: dict[Asked, Kept] = {}
        self._page = threading.Lock()  # one after another: machines come first
        self._names = frozenset(naming.moving_names()) - {naming.history_name()}
        self._records = {system.value: naming.latest_name(system) for system in System}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer from what is kept, or let Django answer."""
        is_plain = environ["REQUEST_METHOD"] in {"GET", "HEAD"} and environ.keys().isdisjoint(_OWN)
        if not is_plain:
            return self._application(environ, start_response)
        started = time.monotonic()
        asked: Asked = tuple([environ.get(name, "") for name in _SAME])
        if not environ["PATH_INFO"].startswith((PREFIX, RECORDS)):
            asked += (reader(environ),)
        kept = self._kept.get(asked)
        if kept is None:
            return self._ask(asked, environ, start_response)
        if kept.until < started or not kept.term.holds():
            return self._renew(kept, asked, environ, start_response)
        return _give(kept, started, environ, start_response)

    def _renew(
        self, kept: Kept, asked: Asked, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """One asks for the next. Meanwhile the others get this one, or wait for him where it is of
        a file that is another by now: a thousand who come when a head has moved are one question.
        """
        started = time.monotonic()
        is_good = kept.route in PAGES or kept.term.holds()
        has_turn = kept.asking.acquire(timeout=0 if is_good else PATIENCE)
        try:
            newer = self._kept.get(asked)
            if has_turn and newer and newer is not kept and newer.term.holds():
                return _give(newer, started, environ, start_response)
            if not has_turn and is_good:
                return _give(kept, started, environ, start_response)
            with self._page if kept.route in PAGES else nullcontext():
                return self._ask(asked, environ, start_response)
        finally:
            if has_turn:
                kept.asking.release()

    def _ask(
        self, asked: Asked, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        # How the file is before Django reads anything: what changes meanwhile is not taken for it.
        term = self._term(environ)
        if term is None:
            return self._application(environ, start_response)
        begun: list[Any] = []

        def start(status: str, headers: Headers, *more: Any) -> Any:
            begun[:] = [status, headers]
            return start_response(status, headers, *more)

        answer = self._application(environ, start)
        status, headers = begun
        route = environ.get(ROUTE, "")
        is_one = route in PAGES or environ["PATH_INFO"].startswith((PREFIX, RECORDS))
        if not is_one or not status.startswith(_KEPT_STATUSES) or not _is_for_all(headers):
            self._kept.pop(asked, None)
            return answer
        body = b"".join(answer)
        getattr(answer, "close", lambda: None)()
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        method, code = environ["REQUEST_METHOD"], status.split(" ", 1)[0]
        self._kept[asked] = Kept(
            term=term,
            until=time.monotonic() + term.seconds,
            status=status,
            headers=[(name, value) for name, value in headers if name != HEADER],
            body=body,
            route=route,
            count=meters.REQUESTS.labels(route, method, code).inc,
            observe=meters.SECONDS.labels(route).observe,
        )
        return [body]

    def _term(self, environ: WSGIEnvironment) -> Term | None:
        """How long the answer will be good, from now on; None where it is not to be kept."""
        path = environ["PATH_INFO"]
        if not path.startswith((PREFIX, RECORDS)):
            return Term.of_heads(SECONDS)
        if environ.get("QUERY_STRING"):
            return None
        record = RECORD.fullmatch(path)
        if record:
            file = self._file(record[1], self._records.get(record[2], ""))
            term = Term.of(file, SECONDS)
        else:
            channel, _, name = path.removeprefix(PREFIX).partition("/")
            term = Term.of(self._file(channel, name))
        return term if term.as_of is not None else None

    def _file(self, channel: str, name: str) -> str | None:
        """Where a file that moves lies; None for whatever else it is."""
        if name not in self._names:
            return None
        try:
            path = artifacts().local_path(channel_key(channel, name))
        except (ValueError, SuspiciousOperation):  # no name of a channel
            return None
        return str(path) if path else None


def _give(
    kept: Kept, started: float, environ: WSGIEnvironment, start_response: StartResponse
) -> list[bytes]:
    """An answer that is kept, to one more; counted as Django counts it."""
    environ[ROUTE], environ[FILE] = kept.route, None
    kept.observe(time.monotonic() - started)
    kept.count()
    own = own_id(environ.get("HTTP_X_REQUEST_ID", ""))
    start_response(kept.status, [*kept.headers, (HEADER, own)])
    return [kept.body]


def _is_for_all(headers: Headers) -> bool:
    """Whether it is short, and the same for whoever asks the same."""
    told = {name.lower(): value for name, value in headers}
    varies = {name.strip().lower() for name in told.get("vary", "").split(",") if name}
    if "set-cookie" in told or not varies <= _READERS:
        return False
    return int(told.get("content-length", "0")) <= LARGEST  # 304 has none
