"""All parts of a production as real processes, configured by the files of deploy/."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings

from builds.tests import front, s3
from builds.tests.crash.world import Postgresql, wait_for
from builds.tests.fleet.fleet import QUICK, Fleet
from builds.tests.front import Front
from builds.tests.ports import free_port
from builds.tests.production.machines import Machine, network
from builds.tests.serving.asking import ask
from builds.tests.serving.conftest import in_bucket
from conftest import BUCKET
from deploy.embedded_redis import program

CATALOGUE = """
[defaults]
systems = ["x86_64-linux", "aarch64-linux"]
variants = ["netboot"]
checks = ["boot-netboot-direct"]
ssh = false

[channels.demo]
title = "Demo"
flake = "path:images/mini"
attribute = "packedOn.{host}.{system}.{variant}"
marker = "mini image is up: {system} {version}"
slot = "Sunday 03:00"
"""


class Production(Fleet):
    """Processes of a portal whose database, broker and storage are servers on the network."""

    def __init__(
        self, folder: Path, database_url: str, machines: tuple[Machine, ...], **chosen: str
    ) -> None:
        super().__init__(folder, database_url, **chosen)
        self.machines = machines
        self._short_work: list[subprocess.Popen[str]] = []

    def start_short_work(self) -> None:
        """The scheduler, and the worker that plans and publishes."""
        self._short_work = [self.default(), self.beat()]

    def stop_short_work(self) -> None:
        for process in self._short_work:
            self.kill(process)

    def worker_on(self, machine: Machine, *words: str, **chosen: str) -> subprocess.Popen[str]:
        """A worker on a machine, which has nothing of the portal's but the code."""
        home = self.folder / machine.name
        home.mkdir()
        return self.start(
            *machine.words,
            *(sys.executable, "-m", "celery", "--app", "portal", "worker"),
            *("--hostname", f"{machine.name}@%h", *words),
            *("--without-mingle", "--without-gossip"),
            **{"DATA_DIR": str(home), **chosen},
        )

    def manage(self, *words: str) -> str:
        """What a command prints that has to succeed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=settings.BASE_DIR,
            env=os.environ | self.settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[Production, Front]]:
    """The servers, the portal's short work and its pages; builds want workers."""
    with ExitStack() as stack:
        wires = stack.enter_context(network("one", "two"))
        for name in ("s3", "redis", "data"):
            (folder / name).mkdir()
        storage = stack.enter_context(s3.serving(folder / "s3", wires.address))
        redis_url = stack.enter_context(redis(folder / "redis", wires.address))
        database = _postgresql(stack, wires.address)
        storage.make_bucket(BUCKET)
        chosen: dict[str, Any] = in_bucket(storage.address)
        portal = Production(
            folder / "data",
            database.url,
            wires.machines,
            REDIS_URL=redis_url,
            SIGNER_SOCKET=str(folder / "data" / "signer.sock"),
            SIGNER_KEYS=str(folder / "data" / "keys"),
            X_ACCEL_REDIRECT="true",
            TRUSTED_PROXIES="1",
            CHECK_LATER="false",
            **QUICK,
            **chosen,
        )
        stack.callback(portal.end)
        (folder / "catalogue.toml").write_text(CATALOGUE)
        portal.manage("keys", "make")
        portal.manage("migrate", "-v0")
        portal.manage("collectstatic", "-v0", "--noinput")
        portal.manage("loadcatalog", str(folder / "catalogue.toml"))
        portal.start_short_work()
        web = f"127.0.0.1:{free_port()}"
        config = str(settings.BASE_DIR / "deploy" / "gunicorn_settings.py")
        portal.start(
            sys.executable, "-m", "gunicorn", "--config", config, "--bind", web, "portal.wsgi"
        )
        before = front.serving(
            folder / "nginx", folder / "data", f"http://{web}", BUCKET_ORIGIN=storage.address
        )
        server = stack.enter_context(before)
        portal.wait_until("page", lambda: ask(server.url, "/healthz").status == 200, within=60)
        server.forget_errors()  # while the portal was not there yet
        yield portal, server


def _postgresql(stack: ExitStack, address: str) -> Postgresql:
    folder = Path(tempfile.mkdtemp(prefix="portal-production-"))  # its user must reach it
    folder.chmod(0o755)
    stack.callback(shutil.rmtree, folder)
    database = Postgresql(folder, free_port(), address)
    stack.callback(database.stop)
    return database


@contextlib.contextmanager
def redis(folder: Path, address: str) -> Iterator[str]:
    """A Redis on the network with the configuration of deploy/redis; its URL."""
    port = free_port()
    config = settings.BASE_DIR / "deploy" / "redis" / "redis.conf"
    words: list[str | Path] = [
        "--bind",
        address,
        "--port",
        str(port),
        "--dir",
        folder,
        "--protected-mode",
        "no",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program(), config, *words], stdout=log, stderr=log)
    try:
        wait_for(lambda: b"Ready to accept" in (folder / "log").read_bytes())
        yield f"redis://{address}:{port}/0"
    finally:
        process.terminate()
        process.wait(10)
