"""Whether the process lives, and whether what it needs answers."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from builds.web.probes import answers


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process lives."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Database, broker and storage answer and the catalogue is loaded; a line for each."""
    found = answers()
    text = "".join(f"{answer.name}: {answer.error or 'ok'}\n" for answer in found)
    status = 503 if any(answer.error for answer in found) else 200
    response = HttpResponse(text, content_type="text/plain; charset=utf-8", status=status)
    response["Cache-Control"] = "no-store"
    return response
