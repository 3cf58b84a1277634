"""What a page depends on of who asks for it and is not signed in: language, form, packing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.middleware.gzip import re_accepts_gzip
from django.utils.translation import get_language_from_request

from builds.web.plain import wants_text

MOST_KNOWN = 1024  # ways to say it; browsers have some dozen


class Reader(NamedTuple):
    """Two who are equal here get the same page."""

    language: str
    wants_text: bool
    unpacks: bool


def reader(environ: Mapping[str, Any]) -> Reader:
    """Who asks; the environment of a request without cookies, as WSGI has it."""
    return _reader(
        environ.get("HTTP_ACCEPT_LANGUAGE", ""),
        environ.get("HTTP_ACCEPT", ""),
        environ.get("HTTP_USER_AGENT", ""),
        environ.get("HTTP_ACCEPT_ENCODING", ""),
    )


@lru_cache(MOST_KNOWN)
def _reader(language: str, accept: str, program: str, encoding: str) -> Reader:
    request = HttpRequest()
    request.META = {
        "HTTP_ACCEPT_LANGUAGE": language,
        "HTTP_ACCEPT": accept,
        "HTTP_USER_AGENT": program,
    }
    return Reader(
        language=get_language_from_request(request),
        wants_text=wants_text(request),
        unpacks=re_accepts_gzip.search(encoding) is not None,
    )
