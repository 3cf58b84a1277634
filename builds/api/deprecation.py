"""What goes away says so in its answers: Deprecation (RFC 9745), Sunset (RFC 8594), successor."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.http import http_date
from ninja.operation import Operation

from builds.boot.addresses import base_url

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when an operation is not to be used any more, until when it answers, and what instead.

    `successor` is a path on this portal; parameters of the operation in braces are filled in.
    """

    since: datetime
    sunset: datetime
    successor: str

    def headers(self, request: HttpRequest, parameters: dict[str, Any]) -> dict[str, str]:
        """What its answers say of that."""
        url = base_url(request) + self.successor.format(**parameters)
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": http_date(self.sunset.timestamp()),
            "Link": f'<{url}>; rel="successor-version"',
        }


def deprecated(how: Deprecation) -> Callable[[View], View]:
    """Mark an operation, below its `@router.get(…)`; the OpenAPI document says it, too."""
    if how.sunset <= how.since:
        raise ValueError("It must answer for a while after it is deprecated.")

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def answer(request: HttpRequest, **parameters: Any) -> HttpResponseBase:
            response = view(request, **parameters)
            for name, value in how.headers(request, parameters).items():
                before = response.headers.get(name)
                response.headers[name] = f"{before}, {value}" if before else value
            return response

        answer._ninja_contribute_to_operation = [_mark]  # type: ignore[attr-defined]  # noqa: SLF001 - ninja's hook
        return answer

    return decorate


def _mark(operation: Operation) -> None:
    operation.deprecated = True
