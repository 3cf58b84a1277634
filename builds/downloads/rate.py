"""How often one address may fetch: far more than anybody needs, and nobody counts without Redis."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from ipaddress import ip_address
from typing import Any

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from builds.downloads.responses import plain
from builds.limits import buckets

View = Callable[..., HttpResponseBase]


def within_rate(view: View) -> View:
    """Refuse an address that fetches more than DOWNLOAD_RATE files a minute.

    Where Redis is away it goes on: the limit protects against a program that runs wild, and who
    boots a machine must not wait for a counter. It is the other way round where people sign in.
    """

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        address = _address(request) if settings.DOWNLOAD_RATE else None
        if address is not None:
            taken = buckets(settings.REDIS_URL).take(f"files:{address}", settings.DOWNLOAD_RATE)
            if taken is not None and not taken.may:
                said = f"Too many files for this address; ask again in {taken.retry_after} s."
                return plain(said, 429, Retry_After=str(taken.retry_after))
        return view(request, *args, **named)

    return limited


def _address(request: HttpRequest) -> str | None:
    """The public address that asks; None in one's own networks, where a rack boots at once.

    None too behind a front server that TRUSTED_PROXIES does not count: that is everybody.
    """
    if not settings.TRUSTED_PROXIES and "X-Forwarded-For" in request.headers:
        return None
    try:
        address = ip_address(get_adapter(request).get_client_ip(request))
    except (PermissionDenied, ImproperlyConfigured, ValueError):
        return None
    return str(address) if address.is_global else None
