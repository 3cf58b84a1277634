"""Errors as problem documents (RFC 9457), which say what is wrong and what to do instead."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.responses import NinjaJSONEncoder

from builds.api.shapes import ProblemShape
from builds.request_id import current_request_id

logger = logging.getLogger("django.request")

CONTENT_TYPE = "application/problem+json"
INVALID = HTTPStatus.UNPROCESSABLE_ENTITY
IN_A_BODY = frozenset({"body", "form", "file"})


class Problem(Exception):
    """What a request can't have: status, and in a sentence or two why and what to do instead.

    `title` is the status's own phrase unless `type` names a kind of its own; `members` stand
    beside them in the document, `headers` go with the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str = "",
        type: str = "about:blank",  # noqa: A002 - RFC 9457's own word
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.type = type
        self.headers = headers or {}
        self.members = members


def invalid(parameter: str, detail: str) -> Problem:
    """422: a parameter of the address says something that can't be."""
    errors = [{"parameter": parameter, "detail": detail}]
    return Problem(INVALID, f"{parameter}: {detail}", errors=errors)


def document(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The answer that a problem is; kept by no cache, as it may be gone the next moment."""
    said = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": escape_uri_path(request.path),
    }
    body = NinjaJSONEncoder(ensure_ascii=False).encode(said | problem.members)
    response = HttpResponse(body, content_type=CONTENT_TYPE, status=problem.status)
    response["Cache-Control"] = "no-store"
    for name, value in problem.headers.items():
        response[name] = value
    return response


def problems(*statuses: int) -> dict[int, type[ProblemShape]]:
    """The part of an operation's `response=` that documents these errors."""
    return dict.fromkeys(statuses, ProblemShape)


def handle_errors(api: NinjaAPI) -> None:
    """Let every error of an operation be answered by a problem document."""
    handlers: dict[type[Exception], Any] = {
        Problem: document,
        Http404: lambda request, error: document(request, Problem(404, str(error))),
        ValidationError: lambda request, error: document(request, _not_valid(error)),
        HttpError: lambda request, error: document(request, Problem(error.status_code, str(error))),
        PermissionDenied: lambda request, error: document(request, Problem(403, str(error))),
        SuspiciousOperation: _not_understood,
        BadRequest: _not_understood,
        Exception: _broken,
    }
    for error, handler in handlers.items():
        api.add_exception_handler(error, handler)


def _not_understood(request: HttpRequest, error: Exception) -> HttpResponse:
    return document(request, Problem(400, str(error) or "This request can't be understood."))


def _broken(request: HttpRequest, error: Exception) -> HttpResponse:
    """Our own fault: into the log with all that is known, and to the asker by its number only."""
    request_id = current_request_id()
    logger.error("Internal Server Error: %s (%s)", request.path, request_id, exc_info=error)
    got_request_exception.send(sender=None, request=request)
    detail = f"The portal's fault; its log tells more under the request id {request_id}."
    return document(request, Problem(500, detail, request_id=request_id))


def _not_valid(error: ValidationError) -> Problem:
    errors = [_one_error(each["loc"], each["msg"]) for each in error.errors]
    said = "; ".join(f"{each[1]}: {each[0]}" for each in (tuple(e.values()) for e in errors))
    return Problem(INVALID, said, errors=errors)


def _one_error(place: tuple[Any, ...], message: str) -> dict[str, str]:
    source, *names = place
    detail = message.removeprefix("Value error, ")
    if source in IN_A_BODY:
        return {"detail": detail, "pointer": "#/" + "/".join(map(str, names[1:]))}
    return {"detail": detail, "parameter": ".".join(map(str, names))}
