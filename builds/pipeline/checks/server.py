"""Hands a draft's files to a guest over HTTP, under the names that they will have for good."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from builds.models import Artifact, Release
from builds.pipeline import documents, naming
from builds.storage import artifacts
from builds.storage.base import blocks

_GUESTS_VIEW = "10.0.2.2"


@dataclass(slots=True)
class Shelf:
    """What is handed out, by path, and what has been asked for.

    `texts` are bytes in memory, `stored` keys of the storage with their sizes. `failure` is what
    the storage said where it could not be read.
    """

    port: int
    texts: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failure: OSError | None = None

    def url(self, key: str) -> str:
        """Where a guest finds a key."""
        return f"http://{_GUESTS_VIEW}:{self.port}/{key}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    shelf: Shelf


class _Handler(BaseHTTPRequestHandler):
    """One request; the database is never asked, so that no connection stays behind."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Give the bytes of a path, or a 404 in plain text."""
        shelf = cast("_Server", self.server).shelf
        key = self.path.removeprefix("/")
        shelf.asked.append(key)
        if key in shelf.texts:
            self._head(200, len(shelf.texts[key]))
            self.wfile.write(shelf.texts[key])
        elif key in shelf.stored:
            self._head(200, shelf.stored[key])
            self._stored(key, shelf)
        else:
            self._head(404, len(_NO_SUCH_FILE))
            self.wfile.write(_NO_SUCH_FILE)

    def _stored(self, key: str, shelf: Shelf) -> None:
        try:
            self._copy(key, shelf.stored[key])
        except ConnectionError:
            self.close_connection = True  # the guest has gone
        except OSError as error:
            shelf.failure = error
            self.close_connection = True

    def _copy(self, key: str, size: int) -> None:
        left = size
        with artifacts().open_range(key, 0, size) as source:
            for block in blocks(source):
                self.wfile.write(block)
                left -= len(block)
        if left:
            raise OSError(f"{key} broke off {left} bytes before its end")

    def _head(self, status: int, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the console of the guest tells what was asked for."""


_NO_SUCH_FILE = b"There is no such file.\n"


@contextmanager
def serving(texts: Mapping[str, bytes], stored: Mapping[str, int]) -> Iterator[Shelf]:
    """Serve on a free port of loopback for the length of the block.

    Raises OSError afterwards where the storage could not be read meanwhile.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    shelf = server.shelf = Shelf(server.server_port, dict(texts), dict(stored))
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield shelf
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    if shelf.failure is not None:
        raise shelf.failure


@contextmanager
def serving_release(release: Release) -> Iterator[Shelf]:
    """Serve what publishing a release would: its artifacts, and the iPXE script beside them."""
    stored = {artifact.key: artifact.size for artifact in _files(release)}
    with serving(script_of(release), stored) as shelf:
        yield shelf


def script_of(release: Release) -> dict[str, bytes]:
    """The iPXE script that publishing writes, by its key; nothing where there is no netboot."""
    text = documents.boot_script(release, moving=False)
    return {} if text is None else {release.key(naming.script_name(release.system)): text}


def _files(release: Release) -> Iterator[Artifact]:
    for artifact in release.artifacts.all():
        artifact.release = release
        yield artifact
