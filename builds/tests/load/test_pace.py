"""What asks at a fixed rate sees a server that stops as all see it who came meanwhile."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import settings

from bench.pace import paced

STOPPED = (0.6, 1.2)  # seconds after the server's start
RATE = 100


class Handler(BaseHTTPRequestHandler):
    """Answers one path, and nothing while the gate is closed."""

    protocol_version = "HTTP/1.1"
    gate = threading.Event()

    def do_GET(self) -> None:
        self.gate.wait()
        body = b"here"
        self.send_response(200 if self.path == "/here" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """With room for all that come while it stands still."""

    request_queue_size = 256
    daemon_threads = True


@pytest.fixture
def url() -> Iterator[str]:
    Handler.gate.set()
    with Server(("127.0.0.1", 0), Handler) as server:
        timers = [
            threading.Timer(STOPPED[0], Handler.gate.clear),
            threading.Timer(STOPPED[1], Handler.gate.set),
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}),
        ]
        for timer in timers:
            timer.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        for timer in timers:
            timer.join()


def test_stop_of_the_server_is_seen_by_all_who_came_in_it(url: str) -> None:
    told = asyncio.run(paced(url, RATE, 1.5, {"/here": 1}))

    assert told.asked == len(told.taken) == 150
    assert not told.errors
    least = 0.7 * RATE * (STOPPED[1] - STOPPED[0])  # those of its last moments wait little
    assert sum(seconds > 0.1 for seconds in told.taken) >= least
    assert max(told.taken) > 0.5


def test_wrong_answers_and_dead_servers_are_errors(url: str) -> None:
    told = asyncio.run(paced(url, RATE, 0.3, {"/here": 1, "/nowhere": 1}))
    assert told.errors["404 /nowhere"] > 0
    assert told.errors.total() + len(told.taken) == told.asked == 30

    told = asyncio.run(paced("http://127.0.0.1:9", RATE, 0.1, {"/here": 1}))
    assert told.errors["ConnectionRefusedError /here"] == 10


def test_program_tells_of_errors_as_json(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.pace", url, str(RATE), "0.3"],
        input="3 /here\n1 /nowhere\n",
        capture_output=True,
        text=True,
        cwd=settings.BASE_DIR,
        check=True,
    )
    told = json.loads(done.stdout)

    assert told["asked"] == len(told["taken"]) + told["errors"]["404 /nowhere"] == 30
    assert told["slowest"].keys() == {"/here"}
