"""A real HTTP receiver on loopback that keeps what it was sent and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Request:
    """What came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        """The body, read."""
        return dict(json.loads(self.body))

    @property
    def id(self) -> str:
        """The event's id, as the header says it."""
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """What was sent so far; `answers` are given in turn, then always 204."""

    requests: list[Request] = field(default_factory=list)
    answers: deque[int | Respond] = field(default_factory=deque)
    came: threading.Condition = field(default_factory=threading.Condition)
    url: str = ""

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Self]:
        """Listen until the end of the block."""
        receiver = cls()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(Request(self.path, dict(self.headers.items()), body))(self)

            def do_GET(self) -> None:
                receiver.take(Request(self.path, dict(self.headers.items()), b""))(self)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Senders are cut off on purpose here."""

        with Server(("127.0.0.1", 0), Handler) as server:
            receiver.url = f"http://127.0.0.1:{server.server_port}/hook?a=b"
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield receiver
            finally:
                server.shutdown()
                thread.join()

    def take(self, request: Request) -> Respond:
        """Keep a request; how it is answered."""
        with self.came:
            self.requests.append(request)
            answer = self.answers.popleft() if self.answers else 204
            self.came.notify_all()
        return answer if callable(answer) else status(answer)

    def wait_for(self, count: int, seconds: float = 30) -> None:
        """Wait until so many requests have come."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= count, seconds)

    @property
    def kinds(self) -> list[str]:
        """What was told, in the order in which it came."""
        return [request.payload["kind"] for request in self.requests]


def status(code: int, body: bytes = b"", **headers: str) -> Respond:
    """An answer with this status."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond
