"""Hostile requests: each is refused as it should be, or made inert."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.handlers.base import BaseHandler
from django.http import HttpResponseBase
from django.test import RequestFactory
from django.utils import timezone

from builds.boot.options import BadOptions, BootOptions
from builds.choices import Scope, Standing
from builds.downloads.ranges import NotSatisfiable, requested_span
from builds.models import Actor, Channel
from builds.tests.attack.corpus import Row, refused, wrong
from builds.tests.factories import ReleaseFactory
from builds.tests.tokens.conftest import new_token, owner

pytestmark = pytest.mark.usefixtures("silence")
OURS = "https://images.example.org"
LATEST = "/api/v1/latest/demo/x86_64-linux/"


@pytest.fixture
def answer(db: None) -> Callable[..., HttpResponseBase]:
    """Sends raw requests; the channel demo has a published release 1.0."""
    ReleaseFactory(channel__name="demo", published=True, stored=True, version="1.0")
    handler = BaseHandler()
    handler.load_middleware()

    def ask(path: str, **environment: Any) -> HttpResponseBase:
        # As a server hands it over: what was escaped in the path is no longer.
        request = RequestFactory().get("/", **environment)
        raw = urllib.parse.unquote_to_bytes(path.encode())
        request = type(request)(
            {**request.environ, "PATH_INFO": raw.decode("latin-1")},
        )
        response = handler.get_response(request)
        response.close()
        return response

    return ask


def test_hosts(answer: Any, settings: LazySettings) -> None:
    """A Host that is not ours is refused; whatever else names one changes nothing."""
    settings.ALLOWED_HOSTS = ["images.example.org"]
    settings.DEBUG = False

    def is_right(row: Row) -> bool:
        named = {"Host": "images.example.org", **row["headers"]}
        told = {f"HTTP_{name.upper().replace('-', '_')}": said for name, said in named.items()}
        response = answer(LATEST, **told)
        wanted = 200 if row["expected"] == "inert" else row["expected"]
        return response.status_code == wanted and b"evil" not in response.content

    assert wrong("hosts", is_right) == []
    settings.PORTAL_URL = OURS
    assert wrong("hosts", is_right) == []
    assert OURS.encode() in answer(LATEST, HTTP_HOST="images.example.org").content


def test_names(answer: Any) -> None:
    """No name reaches anything but the file of that very name."""

    def is_right(row: Row) -> bool:
        name = row["name"]
        response = answer(f"/releases/download/demo/{name}")
        is_plain = response.headers["Content-Type"].startswith("text/plain")
        return response.status_code in row["expected"] and is_plain

    assert wrong("names", is_right) == []
    assert answer("/releases/download/demo/initrd-x86_64-linux").status_code == 200


def test_tokens(answer: Any, db: None) -> None:
    """No header, no address and no half of a token opens anything."""
    channel = Channel.objects.get()
    texts = _tokens()

    def opens(row: Row) -> int:
        told: dict[str, Any] = {}
        if "authorization" in row:
            told["HTTP_AUTHORIZATION"] = _written(row["authorization"], texts)
        if "header" in row:
            name = row["header"].upper().replace("-", "_")
            told[f"HTTP_{name}"] = _written(row["value"], texts)
        told["QUERY_STRING"] = _written(row.get("query", ""), texts)
        request = RequestFactory().post(
            "/api/v1/releases/", {"channel": channel.name}, content_type="application/json", **told
        )
        handler = BaseHandler()
        handler.load_middleware()
        return handler.get_response(request).status_code

    def is_right(row: Row) -> bool:
        return opens(row) == row["expected"] and not channel.releases.drafts().exists()

    assert wrong("tokens", is_right) == []
    assert opens({"authorization": "Bearer {T}"}) == 202


def _tokens() -> SimpleNamespace:
    boss = owner("boss")
    right = new_token(of=boss, name="right")[1]
    revoked, revoked_text = new_token(of=boss, name="revoked")
    revoked.revoke(by=Actor("test"), at=timezone.now())
    shut, shut_text = new_token(of=owner("gone"), name="shut")
    shut.owner.is_active = False
    shut.owner.save()
    body = right.removeprefix("nip_")
    other = "A" if right[12] != "A" else "B"
    return SimpleNamespace(
        T=right,
        SHORT=body[:36],
        CUT=right[:-1],
        MISTYPED=right[:12] + other + right[13:],
        BODY=body,
        LOWER=right.lower(),
        UPPER=right.upper(),
        ZEROS="0" * 49,
        DIGEST=revoked.digest,
        HINT=revoked.hint,
        EXPIRED=new_token(of=boss, name="old", days=-1)[1],
        REVOKED=revoked_text,
        SHUT=shut_text,
        OTHER_SCOPE=new_token(Scope.READ_DRAFTS, of=boss, name="lesser")[1],
        OTHER_CHANNEL=new_token(of=boss, name="elsewhere", channels=["elsewhere"])[1],
        LOWERED=new_token(of=owner("low", Standing.VIEWER), name="low")[1],
    )


def _written(text: str, texts: SimpleNamespace) -> str:
    for name, value in vars(texts).items():
        text = text.replace(f"{{{name}}}", value)
    return text


def test_ranges() -> None:
    """One range is a part, nonsense is the whole, what lies outside is 416; never more."""

    def is_right(row: Row) -> bool:
        try:
            span = requested_span(row["range"], "", '"x"', 1000)
        except NotSatisfiable:
            return bool(row["expected"] == "none")
        found = "all" if span is None else [span.start, span.length]
        return bool(found == row["expected"])

    assert wrong("ranges", is_right) == []


def test_options() -> None:
    """What ends in an iPXE script, on a kernel's line or in root's files has no signs that act."""

    def is_right(row: Row) -> bool:
        fields = {row["field"]: row["text"]}
        if row["field"] == "card":
            fields["addresses"] = "192.0.2.5/24"
        return refused(lambda: BootOptions.parse(fields), BadOptions, row["field"])

    assert wrong("options", is_right) == []


def test_segments(answer: Any) -> None:
    """Options in an address are checked as if typed; machines get a 404 in plain text."""

    def is_right(row: Row) -> bool:
        response = answer(f"/boot/demo/x86_64-linux/{row['segment']}/netboot.ipxe")
        kind = response.headers["Content-Type"]
        return response.status_code in {400, row["expected"]} and kind.startswith("text/plain")

    assert wrong("segments", is_right) == []
