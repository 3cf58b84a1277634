"""Answers that a reader may keep and ask about: ETag, Last-Modified, 304."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, quote_etag
from ninja import Schema

CONTENT_TYPE = "application/json; charset=utf-8"
# What makes the answers: another version of it may make others of the same state.
_SOURCES = ("api/*.py", "boot/*.py", "pipeline/documents.py")


def _digest_of_code() -> str:
    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _SOURCES for path in folder.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


CODE = _digest_of_code()


def told(
    request: HttpRequest,
    make: Callable[[], Schema],
    *,
    state: object,
    at: datetime,
    changed_at: datetime | None = None,
) -> HttpResponseBase:
    """What `make` gives; 304, without making it, to who has it as of this state.

    `state` says everything on which the answer depends beside the code and the address.
    """
    etag = _etag(f"{CODE} {request.build_absolute_uri()} {state}".encode())
    return _known(request, etag, at, changed_at) or _kept(
        HttpResponse(make().model_dump_json(), content_type=CONTENT_TYPE), etag, at, changed_at
    )


def hashed(
    request: HttpRequest, shape: Schema, *, at: datetime, changed_at: datetime | None = None
) -> HttpResponseBase:
    """A shape; 304 to who has the same bytes."""
    body = shape.model_dump_json().encode()
    etag = _etag(body)
    return _known(request, etag, at, changed_at) or _kept(
        HttpResponse(body, content_type=CONTENT_TYPE), etag, at, changed_at
    )


def asked_again(view: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
    """Let a view that makes the same bytes again and again answer 304 to who has them."""

    def answer(request: HttpRequest, **parameters: Any) -> HttpResponseBase:
        response = view(request, **parameters)
        etag, at = _etag(response.content), timezone.now()
        return _known(request, etag, at, None) or _kept(response, etag, at, None)

    return answer


def _etag(what: bytes) -> str:
    return quote_etag(hashlib.sha256(what).hexdigest()[:32])


def _known(
    request: HttpRequest, etag: str, at: datetime, changed_at: datetime | None
) -> HttpResponseBase | None:
    """304 or 412 where the request's conditions want one."""
    modified = _whole_second(changed_at, at)
    answer = get_conditional_response(request, etag, modified)
    return None if answer is None else _kept(answer, etag, at, changed_at)


def _kept(
    answer: HttpResponseBase, etag: str, at: datetime, changed_at: datetime | None
) -> HttpResponseBase:
    """Anybody may keep it, and asks before each use: a release may be taken back at any time."""
    answer.headers["ETag"] = etag
    answer.headers["Cache-Control"] = "public, no-cache"
    modified = _whole_second(changed_at, at)
    if modified is not None:
        answer.headers["Last-Modified"] = http_date(modified)
    return answer


def _whole_second(changed_at: datetime | None, at: datetime) -> int | None:
    """The second of a change; None while it lasts, as more may change within it."""
    if changed_at is None or int(changed_at.timestamp()) >= int(at.timestamp()):
        return None
    return int(changed_at.timestamp())
