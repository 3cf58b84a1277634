"""What holds for every address of the API: HEAD, CORS, and problem documents for all errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from builds.api.authorization import rate_headers
from builds.api.problems import CONTENT_TYPE, Problem, document

BELOW = "/api/v1/"
READS = ("GET", "HEAD", "OPTIONS")
# What scripts of other sites may send and see. Authorization and cookies are not among it: they
# read what everybody may read, and act on nobody's behalf.
MAY_SEND = "Accept, Cache-Control, If-Modified-Since, If-None-Match, Last-Event-ID"
MAY_SEE = "Deprecation, ETag, Last-Modified, Link, Retry-After, Sunset, X-Request-ID"
PREFLIGHT_SECONDS = 24 * 3600
DOCS = "See /api/v1/docs for all there is."


class ApiMiddleware:
    """Stands before all else that may answer, so that its errors are told alike, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        if not request.path_info.startswith(BELOW):
            return self._get_response(request)
        asked = request.method or ""
        if asked == "HEAD":
            request.method = "GET"
        response = _told_as_problem(request, asked, self._answer(request))
        if isinstance(response, HttpResponse) and response.status_code not in {204, 304}:
            response.headers.setdefault("Content-Length", str(len(response.content)))
        if asked in READS:
            _open(request, response)
        for name, value in rate_headers(request).items():
            response.headers[name] = value
        return _without_body(response) if asked == "HEAD" else response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return document(request, Problem(400, "There is a NUL byte in this address."))
        return self._get_response(request)


def _told_as_problem(
    request: HttpRequest, asked: str, response: HttpResponseBase
) -> HttpResponseBase:
    """An error of Django's or ninja's own in the form of ours."""
    if response.status_code == 405:  # noqa: PLR2004
        return _not_allowed(request, asked, response)
    is_ours = response.headers.get("Content-Type", "").startswith(CONTENT_TYPE)
    if response.status_code < 400 or is_ours:  # noqa: PLR2004
        return response
    why = {
        400: "This request can't be understood.",
        404: f"There is nothing at {request.path}. {DOCS}",
        412: "It has changed since: read it again.",
    }
    detail = why.get(response.status_code, f"{response.reason_phrase}. {DOCS}")
    response.close()
    return document(request, Problem(response.status_code, detail))


def _not_allowed(request: HttpRequest, asked: str, response: HttpResponseBase) -> HttpResponseBase:
    """405, or 204 to who has asked for just that: what may be done here."""
    allowed = _sorted(response.headers.get("Allow", "").split(", "))
    response.close()
    if asked == "OPTIONS":
        return HttpResponse(status=204, headers={"Allow": allowed})
    detail = f"{asked} does nothing here. Allowed: {allowed}."
    return document(request, Problem(405, detail, headers={"Allow": allowed}))


def _sorted(methods: Iterable[str]) -> str:
    """The methods of an address, with those that go with them: HEAD with GET, and OPTIONS."""
    found = {method for method in methods if method}
    return ", ".join(sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())))


def _open(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let scripts of any site read it, without anybody's cookies."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = MAY_SEE
    if "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = "GET, HEAD"
        response.headers["Access-Control-Allow-Headers"] = MAY_SEND
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)


def _without_body(response: HttpResponseBase) -> HttpResponseBase:
    """The head of what GET would answer: its length stays where it is known."""
    if isinstance(response, HttpResponse):
        response.content = b""
        return response
    head = HttpResponse(status=response.status_code, headers=dict(response.headers))
    response.close()
    return head
