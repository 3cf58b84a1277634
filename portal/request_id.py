"""Gives each web request an id: in its answer's header, for what is recorded and logged."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from builds import request_id

HEADER = "X-Request-ID"
# What a front server has given; anything else could be made to look like something in our records.
_PLAIN = re.compile(r"[0-9a-f-]{8,36}")


def own_id(given: str) -> str:
    """The id of a request that came with this one, "" for none."""
    is_trusted = settings.TRUSTED_PROXIES and _PLAIN.fullmatch(given)
    return given if is_trusted else uuid.uuid4().hex


class RequestIdMiddleware:
    """The id that a front server has given, where TRUSTED_PROXIES says that there is one; or a new.

    Anybody else could make their requests look like another's.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer under the id."""
        own = own_id(request.headers.get(HEADER, ""))
        with request_id.named(own):
            response = self._get_response(request)
        response[HEADER] = own
        return response
