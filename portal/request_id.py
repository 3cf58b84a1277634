"""Gives each web request an id: in its answer's header, and for what is recorded meanwhile."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from builds import request_id

HEADER = "X-Request-ID"
# What a front server has given; anything else could be made to look like something in our records.
_PLAIN = re.compile(r"[0-9a-f-]{8,36}")


class RequestIdMiddleware:
    """The id of the front server, or a new one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer under the id."""
        given = request.headers.get(HEADER, "")
        own = given if _PLAIN.fullmatch(given) else uuid.uuid4().hex
        with request_id.named(own):
            response = self._get_response(request)
        response[HEADER] = own
        return response
