"""A WSGI application whose requests hold a connection for a moment, and tell which it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import Error, close_old_connections, connection

from portal import wsgi  # noqa: F401 - sets Django up as for the pages

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The process id of the database's end of the connection."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), pg_sleep(0.05)")
            status, body = "200 OK", str(cursor.fetchone()[0])
    except Error as error:
        status, body = "503 Service Unavailable", str(error)
    finally:
        close_old_connections()  # as Django does after each request
    start_response(status, [("Content-Length", str(len(body.encode())))])
    return [body.encode()]
