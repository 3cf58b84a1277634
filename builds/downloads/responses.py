"""Answers that carry an artifact or a small text, always with length and digest."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone

from builds import tally
from builds.choices import Role
from builds.downloads.ranges import NotSatisfiable, Span, is_unchanged, requested_span
from builds.logs import let_go
from builds.models import Artifact
from builds.storage import artifacts, content_type

logger = logging.getLogger(__name__)

IMMUTABLE = "public, max-age=31536000, immutable"
MOVING = "no-cache"
LONG = 4 * 2**20  # bytes from which on a thread sends for so long that it needs no connection


_NOTING = threading.Lock()


class PartResponse(FileResponse):
    """A file, or a part of it, whose headers the view has set; servers may send by descriptor."""

    def __init__(self, artifact: Artifact, span: Span) -> None:
        super().__init__(artifacts().open_range(artifact.key, span.start, span.length))
        self._artifact = artifact

    def close(self) -> None:
        """Note that the file was read, once all of it is sent."""
        if not self.closed:
            _note_read(self._artifact)
        super().close()

    def set_headers(self, filelike: Any) -> None:
        """Guess nothing: an encoding guessed from .tar.gz would change what arrives."""


def plain(text: str, status: int, **headers: str) -> HttpResponse:
    """A line of plain text, which machines that boot can do no harm with."""
    response = HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8", status=status)
    for name, value in headers.items():
        response[name.replace("_", "-")] = value
    response["Cache-Control"] = MOVING
    _make_inert(response)
    return response


def file_response(request: HttpRequest, artifact: Artifact, *, caching: str) -> HttpResponseBase:
    """An artifact, or the range of it that was asked for, or where the storage hands it out."""
    etag = f'"{artifact.sha256}"'
    answer = _without_body(request, etag, artifact.size)
    if answer is None and request.method == "GET" and (elsewhere := _elsewhere(artifact)):
        return elsewhere
    if answer is None:
        answer = _with_body(request, artifact, etag)
    _describe(answer, artifact.name, artifact.sha256, etag, caching)
    return answer


def text_response(
    request: HttpRequest, name: str, data: bytes, *, caching: str, shown: bool = False
) -> HttpResponseBase:
    """A small file from memory; one that is `shown` may be opened in a browser's window."""
    digest = hashlib.sha256(data).hexdigest()
    etag = f'"{digest}"'
    answer = _without_body(request, etag, len(data))
    if answer is None:
        span = requested_span(*_range_headers(request), etag, len(data))
        part = span or Span(0, len(data))
        answer = HttpResponse(data[part.start : part.start + part.length])
        _set_span(answer, span, len(data))
    _describe(answer, name, digest, etag, caching)
    if shown:
        del answer["Content-Disposition"]
    return answer


def _without_body(request: HttpRequest, etag: str, size: int) -> HttpResponseBase | None:
    """304 where the reader has it, 416 where the range is outside, else None."""
    if is_unchanged(request.headers.get("If-None-Match", ""), etag):
        return HttpResponse(status=304)
    try:
        requested_span(*_range_headers(request), etag, size)
    except NotSatisfiable:
        answer = plain(f"The file has {size} bytes.", 416)
        answer["Content-Range"] = f"bytes */{size}"
        return answer
    return None


def _with_body(request: HttpRequest, artifact: Artifact, etag: str) -> HttpResponseBase:
    span = requested_span(*_range_headers(request), etag, artifact.size)
    answer: HttpResponseBase
    if request.method == "HEAD":
        answer = HttpResponse()
        _set_span(answer, span, artifact.size)
        return answer
    part = span or Span(0, artifact.size)
    _count(artifact, part)
    if settings.X_ACCEL_REDIRECT:
        return _from_front_server(artifact, span)
    if part.length > LONG:
        let_go()
    answer = PartResponse(artifact, part)
    _set_span(answer, span, artifact.size)
    return answer


def _from_front_server(artifact: Artifact, span: Span | None) -> HttpResponse:
    """Let the front server send the bytes; nothing waits here for a slow reader.

    It gets the range that was found to be right: a bucket knows no digest to compare If-Range to.
    """
    answer = HttpResponse()
    answer["X-Accel-Redirect"] = artifacts().front_path(artifact.key)
    if span is not None:
        answer["X-Storage-Range"] = f"bytes={span.start}-{span.start + span.length - 1}"
    _note_read(artifact)
    return answer


def _elsewhere(artifact: Artifact) -> HttpResponse | None:
    """The way to a file that the storage itself hands out; None where the portal answers.

    Never for what firmware and iPXE load. It is asked for anew each time: a withdrawal ends it.
    """
    if not settings.DOWNLOAD_REDIRECT or artifact.role in Role.loaded_by_firmware():
        return None
    if settings.DOWNLOAD_REDIRECT == "signed":
        url = artifacts().signed_url(artifact.key)
    else:
        url = f"{settings.DOWNLOAD_REDIRECT}/{artifact.key}"
    answer = plain(f"It is at {url}", 302, Location=str(url))
    _count(artifact, Span(0, artifact.size))
    _note_read(artifact)
    return answer


def _count(artifact: Artifact, part: Span) -> None:
    """One download is an answer that begins the file; later ranges add their bytes only."""
    today = timezone.now().date()
    tally.downloads.note(artifact.pk, today, begun=part.start == 0, size=part.length)


def _note_read(artifact: Artifact) -> None:
    """Retention waits for who reads; no reader ever waits for retention, or fails by it."""
    if not _NOTING.acquire(blocking=False):
        return  # a slow database holds up one thread at most; the next reader notes it
    try:
        artifact.note_read(at=timezone.now())
    except DatabaseError as error:
        logger.warning("could not note that %s was read: %s", artifact.key, error)
    finally:
        _NOTING.release()


def _range_headers(request: HttpRequest) -> tuple[str, str]:
    # A range is defined for GET only.
    wanted = request.headers.get("Range", "") if request.method == "GET" else ""
    return wanted, request.headers.get("If-Range", "")


def _set_span(answer: HttpResponseBase, span: Span | None, size: int) -> None:
    answer["Content-Length"] = str(span.length if span else size)
    if span is not None:
        answer.status_code = 206
        answer["Content-Range"] = span.content_range(size)


def _describe(answer: HttpResponseBase, name: str, digest: str, etag: str, caching: str) -> None:
    answer["ETag"] = etag
    answer["Accept-Ranges"] = "bytes"
    answer["Cache-Control"] = caching
    if answer.status_code in {200, 206}:
        answer["Content-Type"] = content_type(name)
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        answer["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"
    if answer.status_code == 304:  # noqa: PLR2004
        del answer["Content-Type"]
    _make_inert(answer)


def _make_inert(answer: HttpResponseBase) -> None:
    """Nothing that is served here ever runs in a browser."""
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
