"""Answers to programs: with length and ETag, and readable for scripts of other sites."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import http_date
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from builds.models import Channel

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
FRESH_FOR = 300  # seconds
# What lies among the downloads never runs in a browser, as the downloads themselves.
INERT = "default-src 'none'; sandbox"
View = Callable[..., HttpResponseBase]


def for_programs(view: View) -> View:
    """A view that reads only; whatever else is tried is told so, without asking for a token."""
    return csrf_exempt(require_safe(view))


def answer(
    request: HttpRequest,
    data: bytes,
    media_type: str,
    *,
    etag: str = "",
    modified_at: datetime | None = None,
    headers: dict[str, str] | None = None,
) -> HttpResponseBase:
    """A text, or that the reader has it already; the ETag is its digest unless one is given."""
    tag = etag or f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    whole = HttpResponse(b"" if request.method == "HEAD" else data, content_type=media_type)
    whole["ETag"] = tag
    whole["Content-Length"] = str(len(data))
    patch_cache_control(whole, public=True, max_age=FRESH_FOR)
    seconds = int(modified_at.timestamp()) if modified_at else None
    if seconds is not None:
        whole["Last-Modified"] = http_date(seconds)
    response = get_conditional_response(request, tag, seconds, whole)
    assert response is not None, "it was given one"
    return _opened(response, headers or {})


def json_answer(
    request: HttpRequest,
    record: Any,
    *,
    modified_at: datetime | None = None,
    headers: dict[str, str] | None = None,
) -> HttpResponseBase:
    """A record as JSON; the same rows give the same bytes."""
    data = as_json(record)
    return answer(request, data, JSON, modified_at=modified_at, headers=headers)


def as_json(record: Any) -> bytes:
    """A record as people can read it, too."""
    return f"{json.dumps(record, indent=1, ensure_ascii=False)}\n".encode()


def missing(
    text: str, *, status: int = 404, headers: dict[str, str] | None = None
) -> HttpResponseBase:
    """One line of plain text that says what there is instead."""
    response = HttpResponse(f"{text}\n", content_type=TEXT, status=status)
    response["Cache-Control"] = "no-cache"
    return _opened(response, headers or {})


def json_missing(record: Any, *, status: int = 404) -> HttpResponseBase:
    """The same for readers that want JSON even then."""
    response = HttpResponse(as_json(record), content_type=JSON, status=status)
    response["Cache-Control"] = "no-cache"
    return _opened(response, {})


def no_channel(name: str) -> HttpResponseBase:
    """That there is no such channel, and which there are."""
    return missing(f"There is no channel {name}. Channels: {Channel.objects.in_words()}.")


def _opened(response: HttpResponseBase, headers: dict[str, str]) -> HttpResponseBase:
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Expose-Headers"] = "ETag, Link, Retry-After"
    response["X-Content-Type-Options"] = "nosniff"
    for name, value in headers.items():
        response[name] = value
    return response
