"""A real Redis for tests that want one, and web servers over the test's rows."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.tests.webs import database_url, make_web
from deploy.embedded_redis import program

__all__ = ["database_url", "make_web", "redis_url"]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis of this session's own, on a unix socket, with nothing kept."""
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    options = {"port": "0", "unixsocket": str(socket), "dir": str(folder), "save": ""}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program(), *words], stdout=log, stderr=log)
    try:
        _wait_for(socket, folder / "log")
        yield f"redis+socket://{socket}"
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(socket: Path, log: Path) -> None:
    deadline = time.monotonic() + 20
    while not socket.exists():
        if time.monotonic() > deadline:
            pytest.fail(f"Redis did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)
