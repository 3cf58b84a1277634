"""Asking a WSGI application as a server does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.test import RequestFactory

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

Said = tuple[str, dict[str, str], bytes]


def ask(
    application: WSGIApplication, path: str, method: str = "GET", root: str = "", **headers: str
) -> Said:
    """Status, headers and body of an answer; without a cookie, unless one is among the headers."""
    environ = RequestFactory(SCRIPT_NAME=root).generic(method, path).environ
    del environ["HTTP_COOKIE"]
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    told: dict[str, str] = {}
    statuses: list[str] = []

    def start(
        status: str, headers: list[tuple[str, str]], _error: object = None, /
    ) -> Callable[[bytes], Any]:
        statuses.append(status)
        told.update({name.lower(): value for name, value in headers})
        return lambda _data: None

    body = application(environ, start)
    data = b"".join(body)
    getattr(body, "close", lambda: None)()
    return statuses[-1], told, data
