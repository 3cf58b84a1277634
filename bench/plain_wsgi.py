"""A function under gunicorn that gives files from memory: the most that any framework can reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.plain_files import by_path

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_KNOWN = by_path()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The bytes of a path."""
    data = _KNOWN[environ["PATH_INFO"]]
    start_response("200 OK", [("Content-Length", str(len(data)))])
    return [data]
