"""Counts each request and how long its answer took to begin, by the route that it took."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from builds import meters

# What the access log needs to know of a request, in its WSGI environment.
ROUTE = "portal.route"
FILE = "portal.file"

ADMIN = "admin"
NO_ROUTE = "none"
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})


class MeasuringMiddleware:
    """Names are of routes, not of paths: there are some hundred, whatever is asked for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, and note what it was."""
        started = time.monotonic()
        response = self._get_response(request)
        route = route_of(request)
        method = str(request.method) if request.method in METHODS else "other"
        meters.SECONDS.labels(route).observe(time.monotonic() - started)
        meters.REQUESTS.labels(route, method, str(response.status_code)).inc()
        request.META[ROUTE] = route
        request.META[FILE] = _file(response)
        return response


def route_of(request: HttpRequest) -> str:
    """The name of the pattern that matched; all of Django's admin is one."""
    match = request.resolver_match
    if match is None:
        is_static = request.path_info.startswith(settings.STATIC_URL)
        return "static" if is_static else NO_ROUTE
    return ADMIN if ADMIN in match.namespaces else match.view_name or NO_ROUTE


def kind_of(route: str) -> str:
    """What an answer is to those who pay for its bytes: one of six."""
    namespace, _, name = route.rpartition(":")
    if name.endswith("-file"):
        return "download"
    if namespace.startswith("api"):
        return "api"
    return route if route in {"static", ADMIN, "metrics"} else "page"


def _file(response: HttpResponseBase) -> tuple[Any, int] | None:
    """The open file that the server is to send by its descriptor, and where in it."""
    file: Any = getattr(response, "file_to_stream", None)
    try:
        return (file, os.lseek(file.fileno(), 0, os.SEEK_CUR)) if file is not None else None
    except (OSError, AttributeError, ValueError):
        return None
