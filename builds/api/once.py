"""Doing what a program asks for once, however often it sends the same request."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from builds.api.authorization import identified, rate_headers
from builds.api.refusals import Refused
from builds.models import Answer, OtherRequest, Reply

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
# The draft wants a string in quotes; many programs leave them out.
_QUOTED = re.compile(r'"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"')
_BARE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")


def once(request: HttpRequest, act: Callable[[], Reply]) -> HttpResponse:
    """Do an act in one transaction; with a key that did it before, give the same answer again.

    Only what was done is kept: an act that was refused is tried afresh under the same key.
    """
    given = request.headers.get(HEADER)
    if given is None:
        with transaction.atomic():
            return answer(request, act())
    token, key, asked = identified(request), _key(given), _digest(request)
    try:
        reply, is_new = Answer.objects.once(token, key, asked, act, at=timezone.now())
    except OtherRequest:
        raise _other_request() from None
    response = answer(request, reply)
    if not is_new:
        response[REPLAYED] = "true"
    return response


def answer(request: HttpRequest, reply: Reply) -> HttpResponse:
    """A reply as it goes out: for one reader, kept by nobody on the way."""
    response = HttpResponse(reply.body, content_type="application/json", status=reply.status)
    response["Cache-Control"] = "no-store"
    if reply.location:
        response["Location"] = reply.location
    for name, value in rate_headers(request).items():
        response[name] = value
    return response


def _key(given: str) -> str:
    found = _QUOTED.fullmatch(given.strip())
    if found is not None:
        return found[1]
    if _BARE.fullmatch(given.strip()):
        return given.strip()
    detail = f"{HEADER} wants 1 to 255 letters, digits and signs of ASCII, best in quotes."
    raise Refused(400, f"{HEADER} not understood", detail)


def _digest(request: HttpRequest) -> str:
    """The SHA-256 of what is asked for: the same JSON in another order of fields is the same."""
    body = json.loads(request.body) if request.body.strip() else None
    asked = json.dumps([request.method, request.path, body], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def _other_request() -> Refused:
    detail = f"This {HEADER} came with another request before; take a new one for each request."
    return Refused(422, f"{HEADER} used before", detail)
