"""The signer as a process: a unix socket, a thread for each who asks."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import socketserver
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

from django.db import close_old_connections, connections
from django.utils import timezone

from builds.signer.peer import Peer
from builds.signer.service import Service
from builds.signing import wire

logger = logging.getLogger(__name__)

ASKING_TAKES = 5.0  # seconds in which a question must have come
TAKING_TAKES = 10.0  # seconds in which an answer must have been taken
SAYS_EVERY = 5.0  # seconds
MOST_AT_ONCE = 32
# More than that, so that who is turned away is told so: the kernel says nothing of a full line.
LINE = 4 * MOST_AT_ONCE


class Server(socketserver.ThreadingUnixStreamServer):
    """Answers questions; each connection asks one."""

    daemon_threads = True
    request_queue_size = LINE

    def __init__(self, path: Path, service: Service) -> None:
        self.service = service
        self._path = path
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
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

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, where who has connected may ask and a place is free."""
        peer, group = Peer.of(request), self._path.stat().st_gid
        if not is_known(peer, group):
            # The socket's mode says the same; this holds where somebody has opened it too far.
            logger.warning("turned away %s: the socket is for group %d", peer, group)
            self._turn_away(request, f"the signer answers group {group} and not user {peer.uid}")
        elif not self._places.acquire(blocking=False):
            logger.warning("turned away %s: %d others ask already", peer, MOST_AT_ONCE)
            self._turn_away(request, f"{MOST_AT_ONCE} others ask the signer already")
        else:
            self._start(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and free the place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def _start(self, request: socket.socket, client_address: Any) -> None:
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def _turn_away(self, request: socket.socket, why: str) -> None:
        """Say why, without waiting: so few bytes are taken by the kernel, or by nobody."""
        with contextlib.suppress(OSError):
            wire.send(request, {"away": why}, within=0)
        self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One who asks badly, or goes away, ends nothing."""
        logger.warning("a question broke off: %s", sys.exc_info()[1])


def is_known(peer: Peer, group: int) -> bool:
    """Whether somebody is root, this process's own user, or of a group."""
    return peer.uid in {0, os.geteuid()} or group in peer.groups


class Door(socketserver.BaseRequestHandler):
    """One who asks."""

    server: Server
    request: socket.socket

    def handle(self) -> None:
        """Read one question and answer it."""
        try:
            question = wire.receive(self.request, wire.LARGEST_QUESTION, within=ASKING_TAKES)
            answer = self._answer(question)
        except wire.BadFrame as error:
            answer = {"refused": str(error)}
        except TimeoutError:
            answer = {"away": f"no question came within {ASKING_TAKES:g} s"}
        except OSError:
            return  # gone
        try:
            wire.send(self.request, answer, within=TAKING_TAKES)
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
                wire.send(self.request, {"working": True}, within=TAKING_TAKES)

        return read


def _remove_left(path: Path) -> None:
    """A killed signer leaves its socket; what is no socket is left alone and refused by bind."""
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    except FileNotFoundError:
        return
