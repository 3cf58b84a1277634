"""Addresses of registered hosts: the script, and where it tells that it boots."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from builds.boot.answers import text
from builds.boot.hosts import host_script
from builds.models import Host

UNKNOWN = "There is no such host."


@csrf_exempt
@require_safe
def script(request: HttpRequest, token: str) -> HttpResponse:
    """The iPXE script of the host whose token this is."""
    host = Host.objects.by_token(token)
    if host is None:
        return text(UNKNOWN, 404)
    if request.method == "GET":
        host.note_seen(_address(request), at=timezone.now())
    return text(host_script(host, token))


@csrf_exempt
@require_safe
def booting(request: HttpRequest, token: str) -> HttpResponse:
    """Where a host tells that kernel and initrd are loaded; iPXE can do no more than fetch."""
    host = Host.objects.by_token(token)
    if host is None:
        return text(UNKNOWN, 404)
    if request.method == "GET" and not host.note_booting(at=timezone.now()):
        return text("It was to be booted once, and has been.", 410)
    return text("Boot.")


def _address(request: HttpRequest) -> str | None:
    """From where the machine asks, as far as it is told; it boots all the same where it is not."""
    try:
        return str(get_adapter(request).get_client_ip(request))
    except (PermissionDenied, ImproperlyConfigured):
        return None
