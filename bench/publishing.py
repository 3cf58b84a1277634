"""From a publish to its release in the hands of who asks for the latest."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from pathlib import Path

from django.utils import timezone

from bench import stack
from bench.turns import Row, told, verdict
from builds import points
from builds.tests.downloads.conftest import ready_release
from builds.tests.factories import publish_held
from builds.tests.load.publisher import sign_here
from builds.tests.models.rows import channel

GOAL = 0.1
LATEST = "/api/v1/latest/visible/x86_64-linux/"
COMMITTED = "publish: committed"


def publishing(folder: Path, rounds: int) -> list[Row]:
    """Somebody asks again and again while one release after the other is published."""
    sign_here()
    of = channel("visible")
    publish_held(ready_release(of, "week.0"), timezone.now())
    seen: list[float] = []
    whole: list[float] = []
    with stack.web(folder) as (url, _):
        for number in range(1, rounds + 1):
            release = ready_release(of, f"week.{number}")
            looking = Looking(url, f"week.{number}")
            looking.start()
            committed: dict[str, float] = {}
            points.visit(partial(_note, committed))
            begun = time.perf_counter()
            publish_held(release, timezone.now())
            points.visit(None)
            looking.join(30)
            seen.append(max(0.0, looking.seen_at - committed[COMMITTED]))
            whole.append(looking.seen_at - begun)
    form = "{:.3f} s".format
    return [
        Row(
            "a publish, to who asks for the latest",
            *told(seen, form),
            f"< {GOAL} s",
            verdict(seen, GOAL),
        ),
        Row("  with the signing and writing before it", *told(whole, form)),
    ]


def _note(times: dict[str, float], name: str) -> None:
    times[name] = time.perf_counter()


class Looking(threading.Thread):
    """Asks until a version is the latest; `seen_at` is when the answer that said so was there."""

    def __init__(self, url: str, version: str) -> None:
        super().__init__(daemon=True)
        self.seen_at = float("inf")
        self._url = url
        self._version = version

    def run(self) -> None:
        """Ask, at most 200 times a second."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            code, body = stack.fetch(self._url, LATEST)
            if code == 200 and json.loads(body)["version"] == self._version:
                self.seen_at = time.perf_counter()
                return
            time.sleep(0.005)
