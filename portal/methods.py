"""What no view ever sees: methods that are not known here, and addresses with a NUL byte."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed

from builds.api.middleware import BELOW

OF_PAGES = ("GET", "HEAD", "POST")
OF_API = (*OF_PAGES, "PUT", "PATCH", "DELETE", "OPTIONS")

NUL = "There is a NUL byte in this address.\n"


class KnownMethods:
    """Pages know GET, HEAD and POST, the API some more, nothing any other.

    Views of Django's admin and of allauth take what is not POST for a GET, or a PUT for a POST.
    PostgreSQL knows no NUL in a text: what was asked with one would be an error of ours.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or refuse."""
        known = OF_API if request.path_info.startswith(BELOW) else OF_PAGES
        if request.method not in known:
            return HttpResponseNotAllowed(known)
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return HttpResponse(NUL, content_type="text/plain; charset=utf-8", status=400)
        return self._get_response(request)
