"""Several web processes count as one, and cost next to nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings

from builds.tests.factories import BuildFactory, ReleaseFactory
from builds.tests.observed.reading import Numbers
from builds.tests.webs import MakeWeb, Web
from deploy.child import descendants

MIB = 2**20


@pytest.fixture
def files_of_web(settings: LazySettings, tmp_path: Path) -> None:
    """The test's storage where the web server looks for its own."""
    options: Any = settings.STORAGES["artifacts"]["OPTIONS"]
    options["location"] = tmp_path / "storage"


def fetch(url: str, **headers: str) -> tuple[Any, bytes]:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.headers, answer.read()


def numbers(web: Web) -> Numbers:
    return Numbers.of(fetch(f"{web.url}/metrics")[1].decode())


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def lines(folder: Path, web: Web) -> list[dict[str, Any]]:
    text = (folder / f"web-{urlsplit(web.url).port}.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_two_processes_add_up(files_of_web: None, make_web: MakeWeb, tmp_path: Path) -> None:
    release = ReleaseFactory(channel__name="demo", published=True, stored=True)
    artifact = release.artifacts.get(role="initrd")
    build = BuildFactory(running=True)
    web = make_web(workers=2, threads=16, LOG_FORMAT="json")
    until(lambda: numbers(web).one("portal_web_processes") == 2)
    before = numbers(web)
    url = f"{web.url}/releases/download/demo/{artifact.name}"
    answers = _fetched(url, 40)
    workers = set(_workers(web))
    for worker in workers:  # each alone once: they don't always share what comes
        os.kill(worker, signal.SIGSTOP)
        try:
            answers += _fetched(url, 10)
        finally:
            os.kill(worker, signal.SIGCONT)
    assert [len(body) for body in answers] == [artifact.size] * 60
    fetch(url, Range="bytes=0-9")
    # A reader has its bytes before they are counted.
    size = 60 * artifact.size + 10
    until(lambda: numbers(web).sum("portal_http_sent_bytes_total", kind="download") >= size)
    told = numbers(web)
    which = {"route": "channel-file", "method": "GET"}
    count = "portal_http_requests_total"
    assert told.sum(count, status="200", **which) - before.sum(count, **which) == 60
    assert told.sum(count, status="206", **which) == 1
    assert told.one("portal_http_sent_bytes_total", kind="download") == size
    assert told.one("portal_http_request_seconds_count", route="channel-file") == 61
    assert told.one("portal_web_processes") == 2
    _watchers_come_and_go(web, build.pk)
    _a_dead_process_takes_nothing_back(web, told)
    access = [line for line in lines(tmp_path, web) if line["logger"] == "portal.access"]
    assert {line["pid"] for line in access} >= workers, "both processes have answered"
    part = next(line for line in access if line["status"] == 206)
    assert part["bytes"] == 10
    assert part["path"] == f"/releases/download/demo/{artifact.name}"
    assert part["ms"] >= 0
    assert len(part["request"]) == 32


def _fetched(url: str, times: int) -> list[bytes]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: fetch(url, Connection="close")[1], range(times)))


def _watchers_come_and_go(web: Web, build: int) -> None:
    request = f"GET /api/v1/builds/{build}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    address = urlsplit(web.url)
    streams = [
        socket.create_connection((address.hostname or "", address.port or 0)) for _ in range(3)
    ]
    for stream in streams:
        stream.sendall(request)
        assert b"200 OK" in stream.recv(100)
    until(lambda: numbers(web).one("portal_watchers") == 3)
    victim = _workers(web)[0]
    os.kill(victim, signal.SIGKILL)
    for stream in streams:
        stream.close()
    until(lambda: victim not in _workers(web) and len(_workers(web)) == 2)
    until(lambda: numbers(web).one("portal_watchers") < 3)


def _a_dead_process_takes_nothing_back(web: Web, before: Numbers) -> None:
    after = numbers(web)
    for name in ("portal_http_requests_total", "portal_http_sent_bytes_total"):
        assert after.sum(name) >= before.sum(name)
    assert after.one("process_cpu_seconds_total") >= before.one("process_cpu_seconds_total")


def _workers(web: Web) -> list[int]:
    return descendants(web.pid)


def test_what_was_cut_off_counts_as_what_was_sent(
    files_of_web: None, make_web: MakeWeb, tmp_path: Path
) -> None:
    release = ReleaseFactory(channel__name="demo", published=True, stored=True)
    artifact = release.artifacts.get(role="initrd")
    size = 64 * MIB  # more than sockets hold
    os.truncate(tmp_path / "storage" / artifact.key, size)
    release.artifacts.filter(pk=artifact.pk).update(size=size)
    web = make_web(LOG_FORMAT="json")
    address = urlsplit(web.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as reader:
        path = f"/releases/download/demo/{artifact.name}"
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        got = 0
        while got < MIB:
            got += len(reader.recv(65536))
    until(lambda: numbers(web).sum("portal_http_sent_bytes_total", kind="download") > 0)
    sent = numbers(web).sum("portal_http_sent_bytes_total", kind="download")
    assert MIB // 2 < sent < size


def test_web_that_starts_again_leaves_no_old_counts(make_web: MakeWeb, tmp_path: Path) -> None:
    first = make_web()
    fetch(f"{first.url}/healthz")
    folder = tmp_path / "run" / "metrics"
    assert [path.name for path in folder.iterdir()] == [str(first.pid)]
    log = tmp_path / f"web-{urlsplit(first.url).port}.log"
    assert "portal.access" not in log.read_text(), "nobody has asked for an access log"
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    second = make_web()
    assert [path.name for path in folder.iterdir()] == [str(second.pid)]
