"""Readers that come while releases are published and rolled back never see a torn set."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Self

import pytest
from django.conf import settings

from builds.tests.ports import free_port

PUBLISHES = 500
READS = 10_000
SAMPLE = 8  # of which only every so many are made where there is no time for more
READERS = 6
FOLDER = "/releases/download/demo"
SCRIPT = re.compile(r"kernel (?P<kernel>\S+) initrd=.*\n.*? (?P<initrd>\S+)\nboot", re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "DATA_DIR": str(tmp_path / "data"),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PYTHONPATH": str(settings.BASE_DIR),
    }


@pytest.fixture
def port(environment: dict[str, str], tmp_path: Path) -> Iterator[int]:
    """The embedded web server over an empty database."""
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    for command in (["migrate", "-v0"], ["collectstatic", "-v0", "--noinput"]):
        subprocess.run([*manage, *command], env=environment, check=True)
    port = free_port()
    config = settings.BASE_DIR / "deploy" / "gunicorn_settings.py"
    with (tmp_path / "web.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--config", str(config)),
                *("--bind", f"127.0.0.1:{port}", "portal.wsgi"),
            ],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield port
    finally:
        server.terminate()
        server.wait(20)
    assert "Traceback" not in (tmp_path / "web.log").read_text()


class Reader:
    """One client with a connection of its own; raises where what it read does not fit."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.reads: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, bytes, str]:
        """Status, body and ETag."""
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status in {200, 206}, f"{path}: {answer.status} {body[:100]!r}"
        assert len(body) == int(answer.headers["Content-Length"])
        self.reads[path.rpartition("/")[2]] += 1
        return answer.status, body, answer.headers["ETag"]

    def boot(self) -> str:
        """What iPXE does: the script, then the kernel and initrd that it names. The version."""
        _, script, _ = self.get(f"{FOLDER}/netboot-x86_64-linux.ipxe")
        named = SCRIPT.search(script.decode())
        assert named is not None, script
        versions = set()
        for part in ("kernel", "initrd"):
            _, body, _ = self.get(f"{FOLDER}/{named[part]}")
            versions.add(body.split()[2])
        assert len(versions) == 1, versions
        return str(versions.pop().decode())

    def resume(self) -> None:
        """What curl -C - does with a moving file: the rest fits the beginning, or all is new."""
        path = f"{FOLDER}/bzImage-x86_64-linux"
        _, first, etag = self.get(path, Range="bytes=0-1499")
        status, rest, _ = self.get(path, Range="bytes=1500-", **{"If-Range": etag})
        whole = first + rest if status == 206 else rest
        assert len(set(whole.split(b" ")[2::3])) == 1
        if status == 206:
            assert hashlib.sha256(whole).hexdigest() == etag.strip('"')

    def sums(self) -> None:
        """All lines of the sums are of one release: the kernel's digest is that of its version."""
        _, sums, _ = self.get(f"{FOLDER}/SHA256SUMS")
        digests = {name: digest for digest, name in map(str.split, sums.decode().splitlines())}
        _, script, etag = self.get(f"{FOLDER}/netboot-x86_64-linux.ipxe")
        if digests["netboot-x86_64-linux.ipxe"] == etag.strip('"'):
            named = SCRIPT.search(script.decode())
            assert named is not None
            _, kernel, _ = self.get(f"{FOLDER}/{named['kernel']}")
            assert hashlib.sha256(kernel).hexdigest() == digests["bzImage-x86_64-linux"]


@pytest.mark.timeout(900)
def test_no_reader_sees_a_torn_set_while_releases_are_published_and_rolled_back(
    port: int, environment: dict[str, str], is_long: bool
) -> None:
    part = 1 if is_long else SAMPLE
    publishes, reads = PUBLISHES // part, READS // part
    publisher = subprocess.Popen(
        [sys.executable, "-m", "builds.tests.load.publisher", str(publishes)],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
    )
    assert publisher.stdout is not None
    assert publisher.stdout.readline() == b"ready\n"
    _wait_for(port)
    total: Counter[str] = Counter()
    seen: set[str] = set()
    lock = threading.Lock()

    def is_enough() -> bool:
        return publisher.poll() is not None and total.total() >= reads

    def read(_: int) -> None:
        while not is_enough():
            with Reader(port) as reader:
                version = reader.boot()
                reader.resume()
                reader.sums()
            with lock:
                total.update(reader.reads)
                seen.add(version)

    with ThreadPoolExecutor(READERS) as readers:
        list(readers.map(read, range(READERS)))

    assert publisher.wait() == 0
    publisher.stdout.close()
    assert total.total() >= reads
    assert len(seen) > publishes // 10, "the readers did not come while releases were published"


def _wait_for(port: int) -> None:
    deadline = monotonic() + 30
    while monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            sleep(0.2)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("the web server does not answer")
