"""The signer as a process: a unix socket, a thread for each who asks."""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import stat
import sys
import time
from pathlib import Path
from typing import Any

from django.db import close_old_connections, connections
from django.utils import timezone

from builds.signer.service import Service
from builds.signing import wire

logger = logging.getLogger(__name__)

ASKING_TAKES = 10.0  # seconds in which a question must have come
SAYS_EVERY = 5.0  # seconds
MOST_AT_ONCE = 32


class Server(socketserver.ThreadingUnixStreamServer):
    """Answers questions; each connection asks one."""

    daemon_threads = True
    request_queue_size = MOST_AT_ONCE

    def __init__(self, path: Path, service: Service) -> None:
        self.service = service
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_left(path)
        before = os.umask(0o117)
        try:
            super().__init__(str(path), Door)
        finally:
            os.umask(before)

    def server_close(self) -> None:
        """Close the socket, and remove its name."""
        super().server_close()
        self._path.unlink(missing_ok=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One who asks badly, or goes away, ends nothing."""
        logger.warning("a question broke off: %s", sys.exc_info()[1])


class Door(socketserver.BaseRequestHandler):
    """One who asks."""

    server: Server
    request: socket.socket

    def handle(self) -> None:
        """Read one question and answer it."""
        self.request.settimeout(ASKING_TAKES)
        try:
            answer = self._answer(wire.receive(self.request, wire.LARGEST_QUESTION))
        except wire.BadFrame as error:
            answer = {"refused": str(error)}
        except OSError:
            return  # gone, or too slow
        try:
            wire.send(self.request, answer)
        except OSError:
            logger.warning("nobody waited for an answer")

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        close_old_connections()
        try:
            return self.server.service.answer(question, at=timezone.now(), read=self._working())
        finally:
            connections.close_all()

    def _working(self) -> Any:
        """Lets who asked know, every few seconds, that a large release is still being read."""
        said = time.monotonic()

        def read(_size: int) -> None:
            nonlocal said
            if time.monotonic() - said > SAYS_EVERY:
                said = time.monotonic()
                wire.send(self.request, {"working": True})

        return read


def _remove_left(path: Path) -> None:
    """A killed signer leaves its socket; what is no socket is left alone and refused by bind."""
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    except FileNotFoundError:
        return
