"""What machines that boot are answered: plain text with its length, never a page or a redirect."""

from __future__ import annotations

from django.http import HttpResponse


def text(body: str | bytes, status: int = 200) -> HttpResponse:
    """Plain text that is asked for anew each time; a machine that boots would hang on a page."""
    data = body if isinstance(body, bytes) else f"{body}\n".encode()
    response = HttpResponse(data, content_type="text/plain; charset=utf-8", status=status)
    response["Content-Length"] = str(len(data))
    response["Cache-Control"] = "no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    return response
