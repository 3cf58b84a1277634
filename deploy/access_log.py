"""gunicorn's log: its own lines as the portal's look, and what becomes of each request.

gunicorn alone knows what went out, how much of it and for how long; nothing stands between it and
the file that it sends.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

ROUTE = "portal.route"
FILE = "portal.file"
REQUEST_ID = "x-request-id"


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Counts the bytes of each answer, and writes a line of it where that is wanted.

    The line has no address and no query: nobody is to be found by it, and nothing typed by it.
    """

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """See gunicorn; called once an answer is through or was cut off."""
        # Late: the portal is imported when a worker has been made, and its counters with it.
        from builds import meters  # noqa: PLC0415
        from portal.measured import kind_of  # noqa: PLC0415

        sent = _sent(resp, environ)
        meters.SENT.labels(kind_of(environ.get(ROUTE, ""))).inc(sent)
        if _is_wanted():
            self._write(resp, environ, sent, request_time)

    def setup(self, cfg: Any) -> None:
        """Let gunicorn's own lines look as the portal's do."""
        super().setup(cfg)
        if os.environ.get("LOG_FORMAT", "").strip() == "json":
            from portal.logs import JsonLines  # noqa: PLC0415 - needs packages that gunicorn does not

            for handler in self.error_log.handlers:
                handler.setFormatter(JsonLines())

    def _write(
        self, resp: Any, environ: dict[str, Any], sent: int, request_time: timedelta
    ) -> None:
        status = int(str(resp.status).split(None, 1)[0])
        line = {
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("PATH_INFO", ""),
            "route": environ.get(ROUTE, ""),
            "status": status,
            "bytes": sent,
            "ms": round(request_time / timedelta(milliseconds=1), 1),
            "request": _header(resp, REQUEST_ID),
        }
        text = "{method} {path} {status} {bytes} bytes {ms} ms {request}".format_map(
            line | {"path": _plain(line["path"])}
        )
        logging.getLogger("portal.access").info(text, extra={"access": line})


def _sent(resp: Any, environ: dict[str, Any]) -> int:
    """The bytes that went out; gunicorn counts none of those that the kernel sends from a file."""
    streamed = environ.get(FILE)
    if resp.sent or streamed is None or environ["REQUEST_METHOD"] == "HEAD":
        return int(resp.sent)
    if sys.exc_info()[0] is None:
        return int(resp.response_length or 0)
    file, start = streamed
    try:
        return int(os.lseek(file.fileno(), 0, os.SEEK_CUR) - start)  # where the sending ended
    except (OSError, ValueError):
        return 0


def _is_wanted() -> bool:
    from django.conf import settings  # noqa: PLC0415

    return bool(settings.ACCESS_LOG)


def _header(resp: Any, name: str) -> str:
    return next((str(value) for key, value in resp.headers if key.lower() == name), "")


def _plain(path: str) -> str:
    """A path that can't end the line, nor colour the terminal."""
    return "".join(char if char.isprintable() else "?" for char in path)
