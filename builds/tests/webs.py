"""The test's rows in a file, and web processes of their own that read them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, connections

from builds.tests.ports import free_port


@dataclass(frozen=True)
class Web:
    """A running web server; `pid` is its arbiter's."""

    url: str
    pid: int


MakeWeb = Callable[..., Web]


@pytest.fixture
def database_url(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    """Where another process finds this test's rows: a file, as the test's own are in memory."""
    if connection.vendor != "sqlite":
        name = connection.settings_dict["NAME"]
        host, port = (connection.settings_dict[part] for part in ("HOST", "PORT"))
        yield f"postgres://{connection.settings_dict['USER']}@{host}:{port}/{name}"
        return
    path = tmp_path / "portal.sqlite3"
    connection.ensure_connection()
    with sqlite3.connect(path) as file:
        connection.connection.backup(file)
    file.close()
    kept = connections["default"]
    name = kept.settings_dict["NAME"]
    # Threads that are started from here on read the name, too.
    kept.settings_dict["NAME"] = str(path)
    connections["default"] = type(kept)(kept.settings_dict, "default")
    try:
        yield f"sqlite:///{path}"
    finally:
        connections["default"].close()
        kept.settings_dict["NAME"] = name
        connections["default"] = kept


@pytest.fixture
def make_web(database_url: str, tmp_path: Path) -> Iterator[MakeWeb]:
    """Start web servers as `make run` does; keywords are settings: WATCHERS_MOST=2.

    `port` is that of one that was killed, for one in its place.
    """
    started: list[subprocess.Popen[bytes]] = []

    def make(workers: int = 1, threads: int = 256, port: int = 0, **chosen: object) -> Web:
        port = port or free_port()
        config = settings.BASE_DIR / "deploy" / "gunicorn_settings.py"
        how = ("--workers", str(workers), "--threads", str(threads))
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(tmp_path),
            "DEBUG": "true",
            **{name: str(value) for name, value in chosen.items()},
        }
        with (tmp_path / f"web-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--config", str(config), *how),
                    *("--bind", f"127.0.0.1:{port}", "portal.wsgi"),
                ],
                cwd=settings.BASE_DIR,
                env=environment,
                stdout=log,
                stderr=log,
            )
        started.append(process)
        web = Web(f"http://127.0.0.1:{port}", process.pid)
        _wait_for(web, process)
        return web

    yield make
    for process in started:
        process.kill()  # an orderly stop waits for those who watch
        process.wait()


def _wait_for(web: Web, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the web server fell"
        try:
            urllib.request.urlopen(f"{web.url}/healthz", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the web server did not start")
