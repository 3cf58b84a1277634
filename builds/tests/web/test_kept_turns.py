"""Of all who come when an answer has ended one asks; the others get the old page, or wait where a
file is another by now."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builds.tests import wsgi
from portal import kept
from portal.kept import KeptAnswers
from portal.measured import ROUTE

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

MOVING = "/releases/download/demo/SHA256SUMS"
ROUTES = {"/": "dashboard", "/stats/": "stats", MOVING: "channel-file"}
OTHERS = 5


class Slow:
    """An application that answers with how often it was asked, once it is let go on."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.has_begun = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        with self._lock:
            self.asked += 1
            mine = self.asked
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.has_begun.release()
        assert self.go_on.wait(30)
        with self._lock:
            self.at_once -= 1
        environ[ROUTE] = ROUTES[environ["PATH_INFO"]]
        start("200 OK", [("Content-Length", "1")])
        return [str(mine).encode()]


@pytest.fixture
def slow() -> Slow:
    """See Slow."""
    return Slow()


@pytest.fixture
def front(slow: Slow) -> KeptAnswers:
    """What keeps its answers."""
    return KeptAnswers(slow)


def ask(front: KeptAnswers, path: str) -> bytes:
    return wsgi.ask(front, path)[2]


def replace(storage_folder: Path, text: str) -> None:
    """Another file in place of the one that moves."""
    path = storage_folder / MOVING.removeprefix("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name("new").write_text(text)
    path.with_name("new").replace(path)


def test_page_that_is_old_goes_out_while_one_asks_for_the_next(
    front: KeptAnswers, slow: Slow, storage_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "SECONDS", 0.0)
    assert ask(front, "/") == b"1"
    slow.has_begun.acquire(timeout=30)
    slow.go_on.clear()
    with ThreadPoolExecutor(1 + OTHERS) as pool:
        first = pool.submit(ask, front, "/")
        assert slow.has_begun.acquire(timeout=30)

        others = [pool.submit(ask, front, "/").result(30) for _ in range(OTHERS)]

        assert others == [b"1"] * OTHERS
        slow.go_on.set()
        assert first.result(30) == b"2"
    assert slow.asked == 2


def test_file_that_is_another_is_waited_for_and_asked_for_once(
    front: KeptAnswers, slow: Slow, storage_folder: Path
) -> None:
    replace(storage_folder, "old")
    assert ask(front, MOVING) == ask(front, MOVING) == b"1"
    slow.has_begun.acquire(timeout=30)
    replace(storage_folder, "another")
    slow.go_on.clear()
    with ThreadPoolExecutor(1 + OTHERS) as pool:
        asking = [pool.submit(ask, front, MOVING) for _ in range(1 + OTHERS)]
        assert slow.has_begun.acquire(timeout=30)
        assert not slow.has_begun.acquire(timeout=0.3), "nobody else has asked"
        assert not any(each.done() for each in asking)

        slow.go_on.set()

        assert {each.result(30) for each in asking} == {b"2"}
    assert slow.asked == 2


def test_who_waits_for_too_long_asks_himself(
    front: KeptAnswers, slow: Slow, storage_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "PATIENCE", 0.1)
    replace(storage_folder, "old")
    ask(front, MOVING)
    slow.has_begun.acquire(timeout=30)
    replace(storage_folder, "another")
    slow.go_on.clear()
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask, front, MOVING) for _ in range(2)]
        for _ in asking:
            assert slow.has_begun.acquire(timeout=30)
        slow.go_on.set()
        assert {each.result(30) for each in asking} == {b"2", b"3"}


def test_pages_are_asked_for_one_after_another(
    front: KeptAnswers, slow: Slow, storage_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "SECONDS", 0.0)
    paths = ("/", "/stats/")
    for path in paths:
        ask(front, path)
        slow.has_begun.acquire(timeout=30)
    slow.most_at_once = 0
    slow.go_on.clear()
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask, front, path) for path in paths]
        assert slow.has_begun.acquire(timeout=30)
        assert not slow.has_begun.acquire(timeout=0.3)
        slow.go_on.set()
        assert {each.result(30) for each in asking} == {b"3", b"4"}
    assert slow.most_at_once == 1
