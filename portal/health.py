"""Whether the process lives, and whether what it needs answers."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from redis import Redis

from builds.models import Channel
from builds.storage import artifacts

SECONDS = 2


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process lives."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Database, broker and storage answer and the catalogue is loaded; a line for each."""
    lines = []
    ready = True
    for name, probe in PROBES.items():
        try:
            probe()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs into the answer
            ready = False
            lines.append(f"{name}: {type(error).__name__}: {_first_line(error)}")
        else:
            lines.append(f"{name}: ok")
    text = "".join(f"{line}\n" for line in lines)
    response = HttpResponse(
        text, content_type="text/plain; charset=utf-8", status=200 if ready else 503
    )
    response["Cache-Control"] = "no-store"
    return response


def _probe_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _probe_broker() -> None:
    url = str(settings.REDIS_URL).replace("redis+socket://", "unix://")
    with Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
        client.ping()


def _probe_storage() -> None:
    artifacts().exists("releases/download/.probe")


def _probe_catalogue() -> None:
    if not Channel.objects.exists():
        raise LookupError("no channel; run manage.py loadcatalog")


PROBES: dict[str, Callable[[], None]] = {
    "database": _probe_database,
    "broker": _probe_broker,
    "storage": _probe_storage,
    "catalogue": _probe_catalogue,
}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
