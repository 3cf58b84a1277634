"""`/readyz` answers in time, whatever hangs."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.storage import FileSystemStorage
from django.test import Client

from builds.tests.factories import ChannelFactory
from builds.tests.observed.reading import Numbers
from builds.tests.webs import MakeWeb
from builds.web.probes import ALL_WITHIN

PATIENCE = ALL_WITHIN + 2  # seconds


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


class StuckStorage(FileSystemStorage):
    """A storage on a disk that does not answer until it is let go."""

    let_go = threading.Event()

    def exists(self, name: str) -> bool:
        self.let_go.wait(60)
        return False


@pytest.fixture
def stuck(settings: LazySettings) -> Iterator[None]:
    StuckStorage.let_go.clear()
    backend = f"{__name__}.StuckStorage"
    settings.STORAGES = {**settings.STORAGES, "artifacts": {"BACKEND": backend}}
    yield
    StuckStorage.let_go.set()


def ready(url: str) -> tuple[int, str, float]:
    """Status, text, and the seconds that it took."""
    started = time.monotonic()
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=30) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    return status, text, time.monotonic() - started


def test_ready_once_the_catalogue_is_loaded(make_web: MakeWeb, redis_url: str) -> None:
    web = make_web(REDIS_URL=redis_url)
    status, text, _ = ready(web.url)
    assert status == 503
    assert "catalogue: LookupError: no channel; run manage.py loadcatalog" in text
    ChannelFactory()
    status, text, seconds = ready(web.url)
    assert (status, text) == (200, "database: ok\nbroker: ok\nstorage: ok\ncatalogue: ok\n")
    assert seconds < ALL_WITHIN


def test_hanging_redis_and_storage_hold_nobody_up(make_web: MakeWeb, silent: str) -> None:
    ChannelFactory()
    web = make_web(
        REDIS_URL=f"redis://{silent}/0",
        AWS_STORAGE_BUCKET_NAME="artifacts",
        AWS_S3_ENDPOINT_URL=f"http://{silent}",
        AWS_S3_ACCESS_KEY_ID="key",
        AWS_S3_SECRET_ACCESS_KEY="secret-of-the-storage",
        AWS_S3_REGION_NAME="us-east-1",
    )
    for _ in range(2):
        status, text, seconds = ready(web.url)
        assert status == 503
        assert "database: ok" in text
        assert "broker: TimeoutError" in text
        assert "storage: no answer within 3 s" in text
        assert seconds < PATIENCE
    with urllib.request.urlopen(f"{web.url}/healthz", timeout=5) as answer:
        assert answer.read() == b"ok\n"
    started = time.monotonic()
    with urllib.request.urlopen(f"{web.url}/metrics", timeout=30) as answer:
        told = Numbers.of(answer.read().decode())
    assert time.monotonic() - started < 10, "Prometheus waits for 10 s"
    assert told.one("portal_part_up", part="storage") == 0
    assert told.one("portal_part_up", part="database") == 1
    assert told.one("portal_metrics_read", part="totals") == 1


def test_hanging_database_holds_nobody_up(make_web: MakeWeb, silent: str, redis_url: str) -> None:
    web = make_web(DATABASE_URL=f"postgres://portal:hush-hush@{silent}/portal", REDIS_URL=redis_url)
    status, text, seconds = ready(web.url)
    assert status == 503
    assert "database: no answer within 3 s" in text
    assert "broker: ok" in text
    assert seconds < PATIENCE
    started = time.monotonic()
    with urllib.request.urlopen(f"{web.url}/metrics", timeout=30) as answer:
        told = Numbers.of(answer.read().decode())
    assert time.monotonic() - started < 10
    assert told.one("portal_metrics_read", part="rows") == 0
    assert told.one("portal_part_up", part="database") == 0


def test_many_who_ask_hold_one_thread(
    transactional_db: None, database_url: str, client: Client, stuck: None
) -> None:
    ChannelFactory()
    before = threading.active_count()
    asking = [threading.Thread(target=_ask, args=[client.get]) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert threading.active_count() - before <= 1
    StuckStorage.let_go.set()
    time.sleep(0.2)
    assert "storage: ok" in client.get("/readyz").content.decode()


def _ask(get: Callable[[str], object]) -> None:
    from django.db import connection  # noqa: PLC0415

    try:
        get("/readyz")
    finally:
        connection.close()


def test_probe_reads_the_storage_itself(
    transactional_db: None, client: Client, storage_folder: Path
) -> None:
    ChannelFactory()
    assert "storage: ok" in client.get("/readyz").content.decode()
