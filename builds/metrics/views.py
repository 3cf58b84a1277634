"""`/metrics`, for those who may read it."""

from __future__ import annotations

import ipaddress
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from builds.metrics.collectors import Portal

REFUSED = (
    "These numbers are for the networks of METRICS_NETWORKS, or for who has METRICS_TOKEN; "
    "see docs/observability.md.\n"
)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All numbers, in the text format or as OpenMetrics, whichever was asked for."""
    if not _may_read(request):
        return _answer(REFUSED, "text/plain; charset=utf-8", status=403)
    registry = CollectorRegistry()
    registry.register(Portal())
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return _answer(encode(registry), kind)


def _answer(body: str | bytes, kind: str, status: int = 200) -> HttpResponse:
    response = HttpResponse(body, content_type=kind, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _may_read(request: HttpRequest) -> bool:
    """By the token where one is set, else by the address that the request came from."""
    if settings.METRICS_TOKEN:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        is_right = secrets.compare_digest(given.strip().encode(), settings.METRICS_TOKEN.encode())
        return kind.lower() == "bearer" and is_right
    address = _client(request)
    return address is not None and any(address in net for net in settings.METRICS_NETWORKS)


def _client(request: HttpRequest) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Who asks; None where a front server stands between that TRUSTED_PROXIES does not count.

    Without that a front server on this machine would make everybody a neighbour.
    """
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop]
    proxies = settings.TRUSTED_PROXIES
    has_passed = bool(hops) or "Forwarded" in request.headers
    if has_passed and not proxies:
        return None
    said = (
        request.META["REMOTE_ADDR"] if not hops else hops[-proxies] if len(hops) >= proxies else ""
    )
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
