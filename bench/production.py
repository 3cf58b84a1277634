"""A production on this machine: what deploy/ starts, with the values that it has there.

Commands come from the units of deploy/systemd, settings from the example beside compose, nginx
and Redis from their files, PostgreSQL is as it is installed; only addresses and folders differ.
"""

from __future__ import annotations

import math
import re
import shlex
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench import stack
from bench.ground import ground
from builds.tests import postgresql
from builds.tests.ports import free_port
from deploy.child import descendants
from deploy.embedded_redis import program
from deploy.guards import ROOT

TENTH = math.log(10, 1.25)  # steps of nice that make a tenth: each takes a fifth
DEPLOY = ROOT / "deploy"
EXAMPLE = DEPLOY / "compose" / "portal.env.example"
SYSTEM = "x86_64-linux"
WORKERS = ("build@", "check", "default")
PYTHON = "/opt/nixos-images/.venv/bin/python"


def unit(name: str, instance: str = SYSTEM) -> tuple[str, ...]:
    """What a unit starts, with its priority, by this Python."""
    text = (DEPLOY / "systemd" / f"nixos-images-{name}.service").read_text()
    started = re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)
    assert started is not None, f"{name} starts nothing"
    nice = re.search(r"^Nice=(.+)$", text, re.MULTILINE)
    words = shlex.split(started[1].replace("%i", instance).replace("%%", "%"))
    assert words[0] == PYTHON, words
    return (*(("nice", "-n", nice[1]) if nice else ()), sys.executable, *words[1:])


def weight(name: str) -> float:
    """The share of the processor that a unit has beside others: 1 where it says nothing."""
    text = (DEPLOY / "systemd" / f"nixos-images-{name}.service").read_text()
    said = re.search(r"^CPUWeight=(\d+)$", text, re.MULTILINE)
    return int(said[1]) / 100 if said else 1.0


def settings(database: str, broker: str) -> dict[str, str]:
    """Those of the example, with files in a folder, and with servers that are here."""
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and line[0] != "#"]
    given = dict(line.split("=", 1) for line in lines)
    given = {name: value for name, value in given.items() if not name.startswith("AWS_")}
    here = {"ALLOWED_HOSTS": "127.0.0.1", "DATABASE_URL": database, "REDIS_URL": broker}
    # What is published was pinned on a day that stands in the tests.
    return given | here | {"MANIFEST_EXPIRES_DAYS": str(100 * 365)}


@contextmanager
def grounded() -> Iterator[Path]:
    """Django over an empty PostgreSQL and Redis, with keys to sign by; yields its folder."""
    with (
        postgresql.serving(()) as database,
        _redis() as broker,
        ground(**settings(f"{database}/postgres", broker)) as folder,
    ):
        from django.core.management import call_command

        call_command("keys", "make")
        yield folder


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """All units, and nginx before them; its address."""
    with ExitStack() as opened:

        def start(name: str, *more: str) -> None:
            log = folder / f"{name}.log"
            process = opened.enter_context(stack.running(("setsid", *unit(name), *more), log))
            opened.enter_context(_weighed(process.pid, weight(name)))

        start("signer")
        web = f"127.0.0.1:{free_port()}"
        start("web", "--bind", web)
        for name in ("beat", *WORKERS):
            start(name)
        stack.wait(lambda: stack.status(f"http://{web}", "/healthz") == 200)
        stack.wait(_all_workers_are_there)
        yield opened.enter_context(_front(folder, f"http://{web}"))


@contextmanager
def _weighed(pid: int, share: float) -> Iterator[None]:
    """What CPUWeight does among units, done among sessions, which Linux shares the processor
    among where there is no systemd; each builder program of Nix has one of its own."""
    nice, over = round(-TENTH * math.log10(share)), threading.Event()

    def tell() -> None:
        known: set[int] = set()
        while not over.wait(0.2):
            for each in {pid, *descendants(pid)} - known:
                known.add(each)
                with suppress(OSError):
                    Path(f"/proc/{each}/autogroup").write_text(str(nice))

    teller = threading.Thread(target=tell, daemon=True)
    if nice:
        teller.start()
    yield
    over.set()


@contextmanager
def _front(folder: Path, portal: str) -> Iterator[str]:
    """Debian's nginx with the file of deploy/nginx."""
    from builds.tests import front

    data = folder / "data"
    with front.serving(folder / "nginx", data, portal) as server:
        stack.wait(lambda: stack.status(server.url, "/healthz") == 200)
        yield server.url


@contextmanager
def _redis() -> Iterator[str]:
    """A Redis with the file of deploy/redis; its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        words = ("--port", str(port), "--dir", folder)
        command = (program(), str(DEPLOY / "redis" / "redis.conf"), *words)
        with stack.running(command, Path(folder) / "log"):
            stack.wait(lambda: b"Ready to accept" in (Path(folder) / "log").read_bytes())
            yield f"redis://127.0.0.1:{port}/0"


def _all_workers_are_there() -> bool:
    from builds.models import Worker

    return Worker.objects.count() == len(WORKERS)
