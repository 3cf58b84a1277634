"""A worker in a forked process: takes real messages from the real broker, until it is told to end.

It differs from Celery's in starting within milliseconds. Like Celery's it takes a message off
the queue before it works on it, keeps what is due later in its memory, and outlives errors.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import close_old_connections, connections

from builds import tasks

logger = logging.getLogger(__name__)

QUEUES = ("default", "check", "build.x86_64-linux", "build.aarch64-linux")
RECONCILE_EVERY = 0.4


class Armed:
    """Does something to its own process when it comes to a point for the n-th time.

    With `group` to its whole process group: Celery's worker is two processes at least.
    """

    def __init__(
        self, point: str, nth: int, act: str, controller: socket.socket, *, group: bool = False
    ) -> None:
        self._send = os.killpg if group else os.kill
        self._whom = os.getpgrp if group else os.getpid
        self._left = nth
        self._point = point
        self._act = act
        self._controller = controller

    def __call__(self, name: str) -> None:
        if name != self._point:
            return
        self._left -= 1
        if self._left != 0:
            return
        self._controller.sendall(b"!")
        if self._act == "kill":
            self._send(self._whom(), signal.SIGKILL)
        elif self._act == "stop":
            self._send(self._whom(), signal.SIGSTOP)
        else:
            self._controller.recv(1)  # until the controller has done it


def fork(main: Callable[[], Any]) -> int:
    """Run a function in a process of its own; its id."""
    connections.close_all()
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        main()
        os._exit(0)
    except BaseException:
        logger.exception("a worker ended")
        os._exit(1)


def serve(stop: Path, arrive: Callable[[], Any]) -> None:
    """Work until the file `stop` is there; `arrive` is tried until it works once."""
    broker = redis.Redis.from_url(settings.REDIS_URL.replace("redis+socket://", "unix://"))
    later: list[tuple[float, str, list[Any]]] = []
    arrived = False
    reconciled = 0.0
    while not stop.exists():
        if not arrived:
            arrived = _do("trigger", arrive)
        if time.monotonic() - reconciled > RECONCILE_EVERY:
            reconciled = time.monotonic()
            _do("reconcile", tasks.reconcile)
        for name, arguments in _due(later) or _messages(broker, later):
            _do(name, current_app.tasks[name], *arguments)
        time.sleep(0.04)


def _do(name: str, act: Callable[..., Any], *arguments: Any) -> bool:
    try:
        close_old_connections()
        act(*arguments)
    except Exception:
        logger.exception("%s %s", name, arguments)
        connections.close_all()
        return False
    return True


def _messages(
    broker: redis.Redis, later: list[tuple[float, str, list[Any]]]
) -> list[tuple[str, list[Any]]]:
    for queue in QUEUES:
        try:
            taken: Any = broker.rpop(queue)
        except redis.RedisError:
            return []
        if taken is None:
            continue
        message = json.loads(taken)
        arguments = json.loads(base64.b64decode(message["body"]))[0]
        name, eta = message["headers"]["task"], message["headers"].get("eta")
        if eta:
            later.append((datetime.fromisoformat(eta).timestamp(), name, arguments))
            return []
        return [(name, arguments)]
    return []


def _due(later: list[tuple[float, str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    now = time.time()
    due = [item for item in later if item[0] <= now]
    for item in due:
        later.remove(item)
    return [(name, arguments) for _, name, arguments in due]
