"""Pages as short texts for those who come with curl or wget, from a rescue shell for example."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

OK = 200
MISSING = "plain/missing.txt"
PROGRAMS = ("curl/", "wget")
View = Callable[..., HttpResponse]


def wants_text(request: HttpRequest) -> bool:
    """Whether it comes from a program: it doesn't ask for HTML, and says so or is curl or wget."""
    accept = request.headers.get("Accept", "")
    if "html" in accept:
        return False
    program = request.headers.get("User-Agent", "").lower()
    return program.startswith(PROGRAMS) or (bool(accept) and request.accepts("text/plain"))


def also_as_text(template: str) -> Callable[[View], View]:
    """Let a view that answers with a template answer programs with a text of the same facts."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            is_text = wants_text(request)
            if is_text:
                translation.activate("en")
            response = view(request, *args, **kwargs)
            patch_vary_headers(response, ["Accept", "User-Agent"])
            if is_text and isinstance(response, TemplateResponse):
                response.template_name = template if response.status_code == OK else MISSING
                response["Content-Type"] = "text/plain; charset=utf-8"
            return response

        return answer

    return decorate
