"""Several senders, each a process of its own: killed, and at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from django.conf import settings

from builds.tests.notices.receiver import Receiver

SETUP = """
from builds.models import *
from django.utils import timezone
Subscription.objects.create(name="hook", url={url!r})
"""
PING = """
from builds.models import *
from django.utils import timezone
for _ in range({count}):
    Event.objects.ping(Subscription.objects.get(), at=timezone.now())
"""
SEND = """
from builds import pipeline
from django.utils import timezone
pipeline.notify(worker="worker", at=timezone.now())
"""
EXPIRE = """
from datetime import timedelta
from django.db.models.functions import Now
from builds.models import *
assert Delivery.objects.filter(lease_until__isnull=False).update(
    lease_until=Now() - timedelta(seconds=1))
"""


class Portal:
    """Programs over one database of their own."""

    def __init__(self, folder: Path) -> None:
        self.environment = os.environ | {
            "DATA_DIR": str(folder),
            "WEBHOOK_NETWORKS": "127.0.0.0/8",
            "PYTHONWARNINGS": "ignore",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, settings.BASE_DIR / "manage.py", *arguments],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments: str) -> str:
        return self.end(self.start(*arguments))

    def end(self, process: subprocess.Popen[str]) -> str:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return said


@pytest.fixture
def portal(tmp_path: Path, receiver: Receiver) -> Iterator[Portal]:
    portal = Portal(tmp_path / "data")
    portal.run("migrate", "--verbosity=0")
    portal.run("shell", "-v0", "-c", SETUP.format(url=receiver.url))
    try:
        yield portal
    finally:
        if "DATABASE_URL" in os.environ:  # it outlives this test
            portal.run("flush", "--no-input", "--verbosity=0")


def test_delivery_of_a_killed_sender_is_sent_again(portal: Portal, receiver: Receiver) -> None:
    killed = threading.Event()

    def say_nothing(handler: BaseHTTPRequestHandler) -> None:
        killed.wait(60)

    receiver.answers.append(say_nothing)
    portal.run("shell", "-v0", "-c", PING.format(count=2))
    sender = portal.start("shell", "-v0", "-c", SEND)
    receiver.wait_for(1)

    sender.send_signal(signal.SIGKILL)
    sender.communicate()
    killed.set()
    portal.run("shell", "-v0", "-c", SEND)
    assert len(receiver.requests) == 1, "its lease holds, and the next event waits for it"
    portal.run("shell", "-v0", "-c", EXPIRE + SEND)

    assert [request.payload["sequence"] for request in receiver.requests] == [1, 1, 2]
    assert receiver.requests[0].id == receiver.requests[1].id


def test_two_senders_and_two_recorders_tell_each_event_once_and_in_order(
    portal: Portal, receiver: Receiver
) -> None:
    both = [portal.start("shell", "-v0", "-c", PING.format(count=15)) for _ in range(2)]
    for process in both:
        portal.end(process)
    both = [portal.start("shell", "-v0", "-c", SEND) for _ in range(2)]
    for process in both:
        portal.end(process)

    told = [request.payload["sequence"] for request in receiver.requests]
    assert told == list(range(1, 31))
