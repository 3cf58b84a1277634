"""The portal's Celery application for a lane's workers: with the lane's builder, and armed."""

from __future__ import annotations

import json
import os
import socket

import django
from celery import shared_task

from portal.celery import app

django.setup()

from builds import points  # noqa: E402 - Django comes first
from builds.tests.crash import bugs, lane_rows  # noqa: E402
from builds.tests.crash.worker import Armed  # noqa: E402

__all__ = ["app"]


@shared_task(name="crash-arrive")
def arrive() -> None:
    """Ask for the release, if nobody has."""
    lane_rows.arrive()


def _arm() -> None:
    """As the lane says; the process that does the work is a fork of this one."""
    said = json.loads(os.environ["CRASH_ARMED"])
    bugs.seed(said["bug"])
    controller = socket.socket(fileno=said["socket"])
    points.visit(Armed(said["point"], said["nth"], said["act"], controller, group=True))


lane_rows.prepare()
_arm()
