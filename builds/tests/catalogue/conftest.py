"""The embedded Redis, as `make run` starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from django.conf import settings

from portal.env import embedded_redis_socket


@pytest.fixture(scope="module")
def redis() -> Iterator[None]:
    """The broker that the settings of all tests name, running for those that want it."""
    socket = embedded_redis_socket(settings.DATA_DIR)
    socket.unlink(missing_ok=True)
    shutil.rmtree(settings.DATA_DIR / "redis", ignore_errors=True)  # messages of the last session
    server = subprocess.Popen(
        [sys.executable, "-m", "deploy.embedded_redis"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"DATA_DIR": str(settings.DATA_DIR)},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while not socket.is_socket():
            assert server.poll() is None, "the embedded Redis did not start"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait(10)
