"""The log of a build: as plain text, by ranges of lines, and live."""

from __future__ import annotations

from typing import Any, TypeVar

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from ninja import Field, Router, Schema
from ninja.params.functions import Query

from builds import logs
from builds.api.problems import Problem
from builds.logs import TooManyWatchers, Watcher
from builds.models import Build

router = Router(tags=["builds"])

SECONDS_UNTIL_NEXT_TRY = 10
LINES_AT_ONCE = 5_000

Answer = TypeVar("Answer", bound=HttpResponseBase)


class LinesShape(Schema):
    """Some lines of a log in a row."""

    first: int = Field(description="the number of the first line here, 0 where there is none")
    total: int = Field(description="the number of the last line of the log so far")
    is_final: bool = Field(description="whether the build has ended, so that nothing will follow")
    lines: list[str | list[list[str]]] = Field(
        description="a line's text; where it has colours, its runs of [text, classes]"
    )


@router.get("{build_id}/log", summary="The log of a build as plain text")
def log(
    request: HttpRequest,
    build_id: int,
    first: int = Query(1, alias="from", ge=1, description="the first line wanted, from 1"),
    last: int | None = Query(None, alias="to", ge=1, description="the last line wanted"),
) -> HttpResponseBase:
    """All of it, or a range of its lines; of a running build what there is so far."""
    build = _find(build_id)
    text = logs.text(build.pk, first, last)
    return _open(StreamingHttpResponse(text, content_type="text/plain; charset=utf-8"))


@router.get("{build_id}/lines", response=LinesShape, summary="Lines of a log, for polling")
def lines(
    request: HttpRequest,
    response: HttpResponse,
    build_id: int,
    first: int | None = Query(None, alias="from", ge=1, description="the last lines without it"),
    most: int = Query(logs.LAST_LINES, ge=1, le=LINES_AT_ONCE),
) -> dict[str, Any]:
    """Some lines from one on, each with its colours as names."""
    build = _find(build_id)
    _open(response)
    window = logs.window(build.pk, first, most)
    return {
        "first": window.first,
        "total": window.total,
        "is_final": build.is_final,
        "lines": [logs.shape_of(line.spans) for line in window.lines],
    }


@router.get("{build_id}/events", summary="The log and the progress of a build, live")
def events(
    request: HttpRequest,
    build_id: int,
    after: int = Query(0, ge=0, description="the last line that you have; Last-Event-ID wins"),
    tail: int = Query(0, ge=0, description="skip what is farther from the end; 0 skips nothing"),
) -> HttpResponseBase:
    """Server-sent events until the build has ended.

    `log`: {first, lines}, its id the number of the last line; `progress`; `stage`; `end`.
    204 says that there is nothing more, 503 with Retry-After to poll `lines` instead.
    """
    build = _find(build_id)
    seen = _last_event(request, after)
    if build.is_final and seen and seen >= logs.last_line(build.pk):
        return _open(HttpResponse(status=204))
    logs.let_go()
    try:
        watcher = Watcher(build.pk, after=seen, tail=tail)
    except TooManyWatchers:
        raise _busy() from None
    response = StreamingHttpResponse(watcher, content_type="text/event-stream")
    response["X-Accel-Buffering"] = "no"
    return _open(response)


def _find(build_id: int) -> Build:
    build = Build.objects.filter(pk=build_id).first()
    if build is None:
        raise Http404(f"There is no build {build_id}.")
    return build


def _last_event(request: HttpRequest, after: int) -> int:
    said = request.headers.get("Last-Event-ID", "")
    return int(said) if said.isascii() and said.isdecimal() else after


def _busy() -> Problem:
    again = {"Retry-After": str(SECONDS_UNTIL_NEXT_TRY)}
    detail = "Too many watch already; ask for lines now and then instead."
    return Problem(503, detail, headers=again)


def _open(response: Answer) -> Answer:
    """Let no cache keep it."""
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
