"""gunicorn's worker with threads, in which no slow client keeps a thread.

What is quick goes the way that it goes in gunicorn: a thread reads the request, lets the
application answer, and sends that. A client that the thread would have to wait for goes back to
the loop, where it costs a socket: until its head and a short body are there, and from where it
takes no more of an answer at once. Only what the application itself reads or makes bit by bit keeps
its thread (a long upload, a log that grows), and that ends where a client is too slow while others
wait.
"""

from __future__ import annotations

import re
import select
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers import gthread

from deploy.patient_socket import PATIENCE, PatientSocket, too_slow

HEAD_SECONDS = 10.0  # from the first look at a request to the last of its head and short body
LINGER_SECONDS = 2.0  # for a client to read the end before its connection is closed
QUICK_SECONDS = 0.02  # who takes something within that keeps its thread
NEXT_SECONDS = 0.002  # the same for who asks again
LOOK_SECONDS = 0.5
USUAL = 4096  # bytes of a request
LONGEST_HEAD = 2**16  # bytes; gunicorn has limits of its own for each of its lines
LONGEST_BODY = 2**16  # of those that no thread waits for
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_IN_PARTS = re.compile(rb"\r\n(transfer-encoding|expect):", re.IGNORECASE)
Act = Callable[["Connection"], None]

# What a thread says of a connection that is to wait in the loop for its client.
_INCOMPLETE, _UNSENT = object(), object()
# How long a thread reads what the application left unread of a body.
gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.5


class HeadTooLongError(Exception):
    """A request whose head has not ended within LONGEST_HEAD."""


@dataclass(slots=True)
class Answer:
    """An answer on its way, and what is to be done when it is through."""

    response: Any
    request: Any
    environ: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    body: Any = None

    def end(self, log: Any, error: OSError | None = None) -> None:
        """Log it, and let the application close its file."""
        took = timedelta(seconds=time.monotonic() - self.began)
        try:
            if error is not None:
                raise error  # the log looks for it, as gunicorn's do
        except OSError:
            log.access(self.response, self.request, self.environ, took)
        else:
            log.access(self.response, self.request, self.environ, took)
        finally:
            getattr(self.body, "close", lambda: None)()


class Connection(gthread.TConn):  # type: ignore[misc]  # gunicorn has no types
    """A client: how much of its next request has come, and the answer that it has yet to take."""

    sock: PatientSocket

    def __init__(self, sock: PatientSocket, peer: Any, own: Any, worker: PatientWorker) -> None:
        super().__init__(worker.cfg, sock, peer, own)
        self.data_ready = True  # gunicorn need not wait for it; see `has_request`
        self.deadline = 0.0  # in the loop
        self.answer: Answer | None = None
        self.error: OSError | None = None
        self.stays = False
        self._worker = worker
        self._seen = 0  # bytes of a request that is not all there
        self._until = 0.0

    def has_request(self) -> bool:
        """Whether a thread would find all that it needs.

        If not, the socket is readable only once there is more. Raises HeadTooLongError, and
        ConnectionResetError where no more comes, or too slowly.
        """
        if self.parser is not None and self.parser.unreader.buf.getvalue():
            return True  # came together with the request before
        try:
            data = self.sock.peek(USUAL)
            if len(data) == USUAL:
                data = self.sock.peek(LONGEST_HEAD + LONGEST_BODY)
        except BlockingIOError:
            return False
        size, wanted = len(data), _wanted(data)
        if wanted is None:
            raise HeadTooLongError
        if size and size >= wanted:
            if self._seen:
                self._wake_at(1)
                self._seen = 0
            self.sock.begin()
            return True
        self._wait_for(wanted, size)
        return False

    def _wait_for(self, wanted: int, size: int) -> None:
        now = time.monotonic()
        if not self._seen:
            self._until = now + HEAD_SECONDS
        if size <= self._seen or now > self._until:
            raise too_slow()  # or it has ended
        self._seen = size
        self._wake_at(wanted)

    def close(self, graceful: bool = False) -> None:  # noqa: FBT001, FBT002 - gunicorn's
        """Close it; gracefully, when its client has read the end, which the loop waits for."""
        if graceful:
            self._worker.linger(self)
        else:
            super().close()

    def waits_until(self) -> float:
        """For how long the loop waits for the rest of a request."""
        return self._until if self._seen else time.monotonic() + HEAD_SECONDS

    def _wake_at(self, size: int) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


class PatientWorker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """See the module."""

    alive: bool

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: set[Connection] = set()  # in the loop, for their clients
        self._under_way = 0  # connections that a thread has, or that wait for one
        self._looked_at = 0.0

    def accept(self, listener: socket.socket) -> None:
        """See gunicorn."""
        try:
            taken, peer = listener.accept()
        except OSError:  # taken by the other worker, or gone already
            return
        sock = PatientSocket(taken, self._is_short)
        self.nr_conns += 1
        self.enqueue_req(Connection(sock, peer, listener.getsockname(), self))

    def enqueue_req(self, conn: Connection) -> None:
        """See gunicorn."""
        self._under_way += 1
        super().enqueue_req(conn)

    def handle(self, conn: Connection) -> object:
        """In a thread: a request, or what is to be done after its answer."""
        if conn.answer is not None:
            return self._after(conn)
        result = self._handle_one(conn)
        # Who asks again at once needs no way through the loop.
        while result is True and self.alive and not self._is_short():
            if not conn.sock.is_ready(select.POLLIN, NEXT_SECONDS):
                break
            result = self._handle_one(conn)
        return result

    def _handle_one(self, conn: Connection) -> object:
        try:
            if not conn.has_request():
                return _INCOMPLETE
        except HeadTooLongError:
            reason = "Request Header Fields Too Large"
            util.write_error(conn.sock, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, reason, "")
            return False
        except OSError as error:
            self.log.debug("Closing connection. %s", error)
            return False
        conn.stays = bool(super().handle(conn))
        return conn.stays if conn.answer is None else _UNSENT

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Let the application answer, and send what the client takes of that."""
        response, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg)
        environ["wsgi.multithread"] = True
        self._count()
        is_full = len(self.keepalived_conns) >= self.max_keepalived
        if not self.alive or not self.cfg.keepalive or is_full:
            response.force_close()
        answer = Answer(response, req, environ)
        try:
            self._send_what_goes(answer, conn)
        except OSError as error:
            self._break_off(answer, conn, error)
            raise
        except Exception:
            self._break_off(answer, conn)
            if not response.headers_sent:
                raise  # gunicorn says 500
            self.log.exception("Error handling request")
            return False
        if conn.answer is None:
            answer.end(self.log)
        return not response.should_close()

    def _send_what_goes(self, answer: Answer, conn: Connection) -> None:
        answer.body = body = self.wsgi(answer.environ, answer.response.start_response)
        is_file = isinstance(body, answer.environ["wsgi.file_wrapper"])
        # The head goes out with what follows, unless that is made as it goes.
        is_there = isinstance(body, list) or getattr(body, "streaming", None) is False
        conn.sock.is_corked = is_file or is_there
        if is_file:
            answer.response.write_file(body)
        elif answer.environ["REQUEST_METHOD"] != "HEAD":  # Django makes a body all the same
            for item in body:
                answer.response.write(item)
        answer.response.close()
        if not conn.sock.settle(QUICK_SECONDS):
            conn.answer = answer

    def _break_off(self, answer: Answer, conn: Connection, error: OSError | None = None) -> None:
        conn.sock.drop()
        answer.end(self.log, error)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """In the loop: a thread is through with it."""
        self._under_way -= 1
        result = None if fs.cancelled() or fs.exception() else fs.result()
        if result is _INCOMPLETE:
            self._await(conn, selectors.EVENT_READ, self._go_on, conn.waits_until())
        elif result is _UNSENT:
            self._await(conn, selectors.EVENT_WRITE, self._send, time.monotonic() + PATIENCE)
        else:
            super().finish_request(conn, fs)

    def linger(self, conn: Connection) -> None:
        """In the loop: close it once its client has, or too late; at once could take the end of
        the answer from it."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            conn.close()
            return
        self.nr_conns += 1
        self._await(conn, selectors.EVENT_READ, self._drain, time.monotonic() + LINGER_SECONDS)

    def murder_pending(self) -> None:
        """In the loop: let those go who have waited for too long; and some who have nothing to
        take yet, where there is no place for others."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        for conn in [conn for conn in self._waiting if conn.deadline <= now]:
            self._let_go(conn, too_slow())
        if self.nr_conns >= self.worker_connections:
            silent = [conn for conn in self._waiting if conn.answer is None]
            for conn in sorted(silent, key=lambda conn: conn.deadline)[: len(silent) // 8 + 1]:
                self._let_go(conn, too_slow())

    def murder_keepalived(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - gunicorn's
        """See gunicorn."""
        super().murder_keepalived(force)
        for conn in list(self._waiting) if force else ():
            self._let_go(conn, too_slow())

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self._waiting:
            if conn.answer is None:
                conn.deadline = min(conn.deadline, deadline)

    def _is_short(self) -> bool:
        return bool(self._under_way > self.cfg.threads * 7 // 8)

    def _count(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def _await(self, conn: Connection, event: int, act: Act, until: float) -> None:
        conn.deadline = until
        self._waiting.add(conn)
        self.poller.register(conn.sock, event, partial(self._turn, conn, act))

    def _turn(self, conn: Connection, act: Act, _sock: object) -> None:
        if conn in self._waiting:  # and not closed in the same turn of the loop
            try:
                act(conn)
            except BlockingIOError:
                return
            except OSError as error:
                self._let_go(conn, error)

    def _go_on(self, conn: Connection) -> None:
        self._leave(conn)
        self.enqueue_req(conn)

    def _send(self, conn: Connection) -> None:
        conn.deadline = time.monotonic() + PATIENCE
        if conn.sock.flush(blocks=1):
            self._go_on(conn)

    def _drain(self, conn: Connection) -> None:
        if not socket.socket.recv(conn.sock, LONGEST_HEAD):
            self._let_go(conn, too_slow())

    def _let_go(self, conn: Connection, error: OSError) -> None:
        """End a connection that waited."""
        self._leave(conn)
        if conn.answer is not None:
            conn.error = error
            self.enqueue_req(conn)  # the application closes its file
            return
        self.nr_conns -= 1
        conn.close()

    def _leave(self, conn: Connection) -> None:
        self._waiting.discard(conn)
        self.poller.unregister(conn.sock)

    def _after(self, conn: Connection) -> bool:
        """In a thread: all is sent of an answer that was slow to go, or its client is gone."""
        answer, conn.answer = conn.answer, None
        conn.sock.drop()
        if answer is not None:
            answer.end(self.log, conn.error)
        return conn.error is None and conn.stays


def _wanted(data: bytes) -> int | None:
    """How many bytes there have to be for a thread: a head, and what follows it where short; None
    for a head that is too long."""
    end = data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
    if end < 0:
        return len(data) + 1 if len(data) < LONGEST_HEAD else None
    length = _LENGTH.search(data, 0, end + 2)
    if length is None or _IN_PARTS.search(data, 0, end + 2) or int(length[1]) > LONGEST_BODY:
        return end + 4
    return end + 4 + int(length[1])
