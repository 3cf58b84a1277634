"""However the portal is ended, nothing of it is left; and it starts again."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial

import pytest

from builds.tests.embedded.conftest import Start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stop_within_ten_seconds_leaves_no_process(start: Start, number: signal.Signals) -> None:
    portal = start()
    portal.wait_until_up()
    assert portal.status_of("/readyz") == 200

    portal.signal(number)

    assert portal.processes() == {}
    assert portal.process.returncode == 0
    assert portal.said.endswith("portal: stopped\n")


def test_stop_during_the_start_leaves_no_process(start: Start) -> None:
    portal = start()
    portal.wait_until("process", lambda: len(portal.processes()) > 1)

    portal.signal(signal.SIGINT)

    assert portal.processes() == {}
    assert portal.said.endswith("portal: stopped\n")


def test_killed_supervisor_takes_all_with_it_and_the_next_start_works(start: Start) -> None:
    portal = start()
    portal.wait_until_up()

    portal.process.kill()
    portal.process.wait()

    portal.wait_until("empty process table", lambda: not portal.processes(), within=10)
    again = start(port=portal.port)
    again.wait_until_up()


def test_open_request_does_not_hold_up_a_killed_supervisor(start: Start) -> None:
    portal = start()
    portal.wait_until_up()
    with socket.create_connection(("127.0.0.1", portal.port)) as half_asked:
        half_asked.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")

        portal.process.kill()
        portal.process.wait()

        portal.wait_until("empty process table", lambda: not portal.processes(), within=10)


FALLS = {
    "web": "gunicorn",
    "worker": "portal worker",
    "beat": "beat",
    "redis": "redis --port",
    "signer": "manage.py signer",
}


def test_every_program_that_falls_is_started_again(start: Start) -> None:
    portal = start()
    portal.wait_until_up()

    for words in FALLS.values():
        os.kill(portal.pid_of(words), signal.SIGKILL)

    for name, words in FALLS.items():
        portal.wait_until(f"word of {name}", partial(portal.has_said, f"{name} was ended by"))
        portal.wait_until(f"new {name}", partial(portal.has, words))
    portal.wait_until("readiness", lambda: portal.status_of("/readyz") == 200)
