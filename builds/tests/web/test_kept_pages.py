"""What is the same for all is made once a second, and again at once when another release is the
latest."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.urls import resolve

from builds import pipeline
from builds.models import Channel
from builds.tests import wsgi
from builds.tests.downloads.conftest import stored_release
from builds.tests.factories import TargetFactory
from builds.tests.models.rows import NOW, channel
from builds.tests.wsgi import Said
from portal import kept
from portal.kept import MOST_KEPT, PAGES, SECONDS, KeptAnswers

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = "demo/x86_64-linux"
PATHS = {
    "dashboard": "/",
    "channel-detail": "/channels/demo/",
    "latest-detail": f"/channels/{PLACE}/",
    "release-detail": "/releases/demo/1.0/x86_64-linux/",
    "build-list": "/builds/",
    "stats": "/stats/",
    "verify": "/verify/",
    "mirrors": "/mirrors/",
    "feed": "/feed.atom",
    "channel-feed": "/channels/demo/feed.atom",
    "stream": "/streams/demo.json",
    "schema": "/schemas/release.json",
    "boot-menu": "/boot.ipxe",
    "channel-script": "/boot/demo.ipxe",
    "pinned-channel-script": "/boot/demo/1.0.ipxe",
    "kexec-script": "/k/demo",
    "pinned-kexec-script": "/k/demo/1.0",
    "badge": f"/badge/{PLACE}.svg",
    "badge-endpoint": f"/badge/{PLACE}.json",
    "badge-reproduced": f"/badge/{PLACE}/reproduced.svg",
    "api:channels": "/api/v1/channels/",
    "api:channel": "/api/v1/channels/demo/",
    "api:releases": "/api/v1/releases/",
    "api:release": "/api/v1/releases/demo/1.0/x86_64-linux/",
    "api:builds": "/api/v1/builds/",
}
# What a proxy, a framework or a browser may take for an address, a method, a reader or a form.
HEADERS = (
    *("FORWARDED", "X_FORWARDED_HOST", "X_FORWARDED_FOR", "X_FORWARDED_PORT", "X_FORWARDED_PROTO"),
    *("X_FORWARDED_SCHEME", "X_FORWARDED_PREFIX", "X_FORWARDED_SERVER", "X_FORWARDED_SSL"),
    *("X_HOST", "X_ORIGINAL_HOST", "X_ORIGINAL_URL", "X_REWRITE_URL", "X_SCRIPT_NAME", "X_REAL_IP"),
    *("X_HTTP_METHOD", "X_HTTP_METHOD_OVERRIDE", "X_METHOD_OVERRIDE", "X_REQUESTED_WITH", "VIA"),
    *("ORIGIN", "REFERER", "ACCEPT", "ACCEPT_LANGUAGE", "ACCEPT_ENCODING", "ACCEPT_CHARSET"),
    *("USER_AGENT", "X_REQUEST_ID", "TRANSFER_ENCODING", "CONTENT_TYPE", "PRAGMA", "CACHE_CONTROL"),
    *("SEC_FETCH_SITE", "SEC_FETCH_MODE", "SEC_FETCH_DEST", "IF_NONE_MATCH", "HOST", "TE", "FROM"),
)
TELL_THE_LATEST = ("/", f"/channels/{PLACE}/", "/k/demo", "/boot/demo.ipxe", "/api/v1/releases/")


@dataclass
class Asking:
    """Asks what is kept in front of Django, counts how often Django answers, has a clock."""

    asked: int = 0
    now: float = 1000.0
    front: KeptAnswers = field(init=False)

    def __post_init__(self) -> None:
        self._django = WSGIHandler()
        self.front = KeptAnswers(self._count)

    def _count(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        self.asked += 1
        return self._django(environ, start)

    def __call__(self, path: str, method: str = "GET", root: str = "", **headers: str) -> Said:
        """Status, headers and body of an answer."""
        return wsgi.ask(self.front, path, method, root, **headers)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Asking:
    """See Asking."""
    asking = Asking()
    monkeypatch.setattr(kept, "time", SimpleNamespace(monotonic=lambda: asking.now))
    return asking


@pytest.fixture
def demo(storage_folder: Any) -> Channel:
    """A channel with one published release."""
    of = channel()
    TargetFactory(channel=of)
    stored_release(of, "1.0")
    return of


def same(said: Said) -> Any:
    """All but what differs each time; a page is packed anew."""
    status, headers, body = said
    is_packed = headers.get("content-encoding") == "gzip"
    rest = {n: v for n, v in headers.items() if n not in {"x-request-id", "content-length"}}
    return status, rest, gzip.decompress(body) if is_packed else body


def test_each_has_a_path_here_and_is_a_route() -> None:
    assert PATHS.keys() == PAGES
    assert {name: resolve(path).view_name for name, path in PATHS.items()} == {
        name: name for name in PAGES
    }


def test_page_is_made_once_a_second(demo: Channel, ask: Asking) -> None:
    for name, path in PATHS.items():
        before = ask.asked
        first = ask(path)
        ask.now += SECONDS * 0.9
        again = ask(path)
        assert first[0] == "200 OK", name
        assert ask.asked == before + 1, name
        assert same(again) == same(first), name
        assert again[1]["x-request-id"] != first[1]["x-request-id"]
        ask.now += SECONDS * 0.2
        ask(path)
        assert ask.asked == before + 2, f"{name}: Django is asked again"
        if "etag" in first[1]:
            held = [ask(path, if_none_match=first[1]["etag"])[0] for _ in range(2)]
            assert held == ["304 Not Modified"] * 2, name
            assert ask.asked == before + 3, name


def test_other_latest_is_seen_at_once(demo: Channel, ask: Asking) -> None:
    def tell() -> list[str]:
        return [path for path in TELL_THE_LATEST if b"2.0" in ask(path)[2]]

    assert tell() == []
    newer = stored_release(demo, "2.0")
    assert tell() == list(TELL_THE_LATEST)
    assert tell() == list(TELL_THE_LATEST)
    assert ask.asked == 2 * len(TELL_THE_LATEST)

    pipeline.withdraw(newer, "it eats disks", by=None, at=NOW)

    tell()
    assert ask.asked == 3 * len(TELL_THE_LATEST)


def test_what_belongs_to_somebody_is_never_kept(demo: Channel, ask: Asking) -> None:
    for own in (
        {"cookie": "theme=dark"},
        {"authorization": "Bearer nip_x"},
        {"range": "bytes=0-9"},
        {"if_modified_since": "Fri, 20 Nov 2026 12:00:00 GMT"},
    ):
        ask("/")
        before = ask.asked
        for _ in range(2):
            ask("/", **own)
        assert ask.asked == before + 2, own
    assert ask("/", cookie="theme=dark")[2] != ask("/")[2]


def test_readers_get_what_they_asked_for(demo: Channel, ask: Asking) -> None:
    german = "de-CH, en;q=0.5"
    readers: list[dict[str, str]] = [
        {},
        {"accept_language": german, "accept": "text/html"},
        {"accept_encoding": "gzip, br", "accept": "text/html"},
        {"user_agent": "curl/8.0", "accept": "*/*"},
        {"accept_language": german, "accept_encoding": "gzip", "user_agent": "Mozilla/5.0"},
    ]

    first = [ask("/", **each) for each in readers]
    again = [ask("/", **each) for each in readers]

    assert ask.asked == len(readers)
    assert [same(said) for said in first] == [same(said) for said in again]
    languages = [headers.get("content-language") for _, headers, _ in again]
    assert languages == ["en", "de", "en", "en", "de"]
    packed = [headers.get("content-encoding") for _, headers, _ in again]
    assert packed == [None, None, "gzip", None, "gzip"]
    kinds = [headers["content-type"].partition(";")[0] for _, headers, _ in again]
    assert kinds == ["text/html"] * 3 + ["text/plain", "text/html"]
    ask("/", accept_language="de-AT", accept="text/html", user_agent="Mozilla/6.0")
    assert ask.asked == len(readers), "another browser that wants the same"


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/status/", "GET"),
        ("/healthz", "GET"),
        ("/accounts/login/", "GET"),
        ("/nothing", "GET"),
        ("/?channel=demo&method=ipxe", "GET"),  # its cookie remembers the wish
        ("/", "OPTIONS"),
        ("/api/v1/releases/", "POST"),
    ],
)
def test_all_else_goes_through(path: str, method: str, demo: Channel, ask: Asking) -> None:
    first, again = ask(path, method), ask(path, method)

    assert ask.asked == 2
    assert first[0] == again[0]


def test_no_more_are_kept_than_there_is_room_for(demo: Channel, ask: Asking) -> None:
    for number in range(MOST_KEPT + 10):
        ask(f"/api/v1/channels/?x={number}")
    assert ask.asked == MOST_KEPT + 10
    ask("/api/v1/channels/?x=0")
    assert ask.asked == MOST_KEPT + 11, "forgotten with the others"
    ask(f"/api/v1/channels/?x={MOST_KEPT + 9}")
    assert ask.asked == MOST_KEPT + 11


def test_answer_of_another_address_is_another(demo: Channel, ask: Asking) -> None:
    plain = ask("/k/demo")[2]
    other = ask("/k/demo", host="localhost")[2]

    assert ask.asked == 2
    assert re.search(rb"http://testserver/", plain)
    assert re.search(rb"http://localhost/", other)


@pytest.mark.parametrize(
    "path", ["/", "/channels/demo/", "/k/demo", "/boot.ipxe", "/api/v1/releases/"]
)
def test_nobody_gets_what_the_header_of_another_made(path: str, demo: Channel, ask: Asking) -> None:
    plain = same(ask(path))
    for name in HEADERS:
        ask.now += 10 * SECONDS
        ask(path, **{name: "evil.example/evil"})
        status, headers, body = same(ask(path))
        assert (status, headers) == plain[:2], name
        assert b"evil" not in body, name


def test_page_below_another_root_is_another(demo: Channel, ask: Asking) -> None:
    ask("/")
    ask.now += 10 * SECONDS
    assert b"/evil/" in ask("/", root="/evil")[2]
    assert b"/evil/" not in ask("/")[2]
