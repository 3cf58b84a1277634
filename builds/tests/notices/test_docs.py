"""The receiver in the documentation, run as it is written there."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from builds import webhook
from builds.choices import EventKind
from builds.models import Attempt, Event
from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.notices.conftest import LOOPBACK, Subscribe, tell
from builds.tests.ports import free_port

pytestmark = pytest.mark.django_db
DOCS = (Path(settings.BASE_DIR) / "docs" / "notifications.md").read_text()


class Documented:
    """The receiver that the documentation shows, as a program."""

    def __init__(self, folder: Path) -> None:
        [source] = re.findall(r"<!-- a test runs this -->\n```python\n(.*?)```", DOCS, re.DOTALL)
        self.program = folder / "receiver.py"
        self.program.write_text(source)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process: subprocess.Popen[str] | None = None

    def start(self, secret: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, self.program],
            env=os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(self.port)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise AssertionError("the receiver did not start")

    def line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def documented(tmp_path: Path) -> Iterator[Documented]:
    receiver = Documented(tmp_path)
    try:
        yield receiver
    finally:
        if receiver.process is not None:
            receiver.process.kill()
            receiver.process.communicate()


def test_receiver_of_the_documentation_takes_what_is_genuine_and_nothing_else(
    documented: Documented, subscribe: Subscribe
) -> None:
    subscription = subscribe(url=documented.url)
    documented.start(subscription.secret)
    ReleaseFactory(channel=ChannelFactory(name="demo"), published=True, version="26.05.1")
    tell()

    assert documented.line() == "published demo x86_64-linux 26.05.1\n"
    assert Attempt.objects.get().response_code == 204
    forged = webhook.headers("x", b"{}", ["whsec_" + "A" * 44], at=timezone.now())
    answers = [
        webhook.post(documented.url, b"{}", headers, allowed=LOOPBACK).status
        for headers in (forged, {}, forged | {"webhook-timestamp": "soon"})
    ]
    assert answers == [401, 401, 401]


def test_documentation_names_every_kind_key_and_setting() -> None:
    example = re.search(r"```json\n(.*?)```", DOCS, re.DOTALL)
    assert example is not None
    keys = set(re.findall(r'^  "(\w+)":', example[1], re.MULTILINE))
    assert keys == Event(at=timezone.now()).shape().keys()
    for word in (*EventKind.values, "EMAIL_URL", "MAIL_FROM", "WEBHOOK_NETWORKS"):
        assert f"`{word}" in DOCS, word
