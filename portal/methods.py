"""Which methods there are: pages know GET, HEAD and POST, the API some more, nothing any other."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed

from builds.api.middleware import BELOW

OF_PAGES = ("GET", "HEAD", "POST")
OF_API = (*OF_PAGES, "PUT", "PATCH", "DELETE", "OPTIONS")


class KnownMethods:
    """Refuses other methods before any view sees them.

    Views of Django's admin and of allauth take what is not POST for a GET, or a PUT for a POST.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or refuse."""
        known = OF_API if request.path_info.startswith(BELOW) else OF_PAGES
        if request.method not in known:
            return HttpResponseNotAllowed(known)
        return self._get_response(request)
