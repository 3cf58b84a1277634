"""Several senders, each a process of its own: killed, and at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from django.conf import settings

from builds.tests.notices.receiver import Receiver

BEGIN = """
import django
django.setup()
from django.db.models.functions import Now
from django.utils import timezone
from datetime import timedelta
from builds import pipeline
from builds.models import *
def send():
    pipeline.notify(worker="worker", at=timezone.now())
def ping():
    Event.objects.ping(Subscription.objects.get(), at=timezone.now())
"""
PREPARE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
Subscription.objects.all().delete()
Event.objects.all().delete()
Subscription.objects.create(name="hook", url={url!r})
"""
AFTER_THE_KILL = """
send()
assert not Attempt.objects.exists(), "its lease holds, and the next event waits for it"
Delivery.objects.filter(lease_until__gt=Now()).update(lease_until=Now() - timedelta(seconds=1))
send()
"""
BUSY = """
for _ in range(15):
    ping()
    send()
while Delivery.objects.waiting().exists():
    send()
"""


class Portal:
    """Programs over one database of their own."""

    def __init__(self, folder: Path) -> None:
        self.environment = os.environ | {
            "DATA_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "WEBHOOK_NETWORKS": "127.0.0.0/8",
        }

    def start(self, program: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", BEGIN + program],
            cwd=settings.BASE_DIR,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, program: str, *, at_once: int = 1) -> None:
        """Run a program to its end, several times side by side if that is wanted."""
        for process in [self.start(program) for _ in range(at_once)]:
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 0, said


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Portal:
    return Portal(tmp_path_factory.mktemp("portal"))


def test_delivery_of_a_killed_sender_is_sent_again(portal: Portal, receiver: Receiver) -> None:
    killed = threading.Event()

    def say_nothing(handler: BaseHTTPRequestHandler) -> None:
        killed.wait(60)

    receiver.answers.append(say_nothing)
    portal.run(PREPARE.format(url=receiver.url) + "ping(); ping()")
    sender = portal.start("send()")
    receiver.wait_for(1)

    sender.send_signal(signal.SIGKILL)
    sender.communicate()
    killed.set()
    portal.run(AFTER_THE_KILL)

    assert [request.payload["sequence"] for request in receiver.requests] == [1, 1, 2]
    assert receiver.requests[0].id == receiver.requests[1].id


def test_three_who_record_and_send_at_once_tell_each_event_once_and_in_order(
    portal: Portal, receiver: Receiver
) -> None:
    portal.run(PREPARE.format(url=receiver.url))

    portal.run(BUSY, at_once=3)

    told = [request.payload["sequence"] for request in receiver.requests]
    assert told == list(range(1, 46))
