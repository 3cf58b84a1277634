"""Whether what the portal needs answers: database, broker, storage, catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from redis import Redis

from builds.deadline import Bounded, TookTooLong
from builds.models import Channel
from builds.storage import artifacts

SECONDS = 2
ALL_WITHIN = 3.0  # seconds, for all parts together


@dataclass(frozen=True, slots=True)
class Answer:
    """How one part answered: `error` is "" where it did, `seconds` is how long it took."""

    name: str
    error: str
    seconds: float


def answers(leave_out: Collection[str] = ()) -> list[Answer]:
    """Ask every part at once, but for those that are left out; waits ALL_WITHIN at most."""
    started = time.monotonic()
    asked = {name: probe.begin() for name, probe in PROBES.items() if name not in leave_out}
    return [_answer(name, coming, started) for name, coming in asked.items()]


def _answer(name: str, coming: Future[float], started: float) -> Answer:
    error, seconds = "", 0.0
    try:
        left = started + ALL_WITHIN - time.monotonic()
        seconds = PROBES[name].wait(coming, left)
    except TookTooLong:
        error = f"no answer within {ALL_WITHIN:g} s"
    except Exception as problem:  # noqa: BLE001 - whatever it is, it belongs into the answer
        error = f"{type(problem).__name__}: {_first_line(problem)}"
    return Answer(name, error, seconds or time.monotonic() - started)


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


def _timed(probe: Callable[[], None]) -> Callable[[], float]:
    def ask() -> float:
        started = time.monotonic()
        probe()
        return time.monotonic() - started

    return ask


PROBES = {
    name: Bounded(f"probe of the {name}", _timed(probe))
    for name, probe in {
        "database": _probe_database,
        "broker": _probe_broker,
        "storage": _probe_storage,
        "catalogue": _probe_catalogue,
    }.items()
}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
