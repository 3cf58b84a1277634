"""What counts as a download, and that each is counted once, over a real Redis and web process."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.utils import timezone

from builds import tally
from builds.models import Artifact, CountedBatch, CountedLog, DownloadCount
from builds.pipeline import collect, take_counts
from builds.tally import Count, Tally
from builds.tests.downloads.conftest import Weeks
from builds.tests.factories import NOW
from builds.tests.webs import MakeWeb
from deploy.embedded_redis import program

DAY = date(2026, 11, 22)


@pytest.fixture
def own_redis(tmp_path: Path, settings: LazySettings) -> Iterator[tuple[str, Callable[[], None]]]:
    """A Redis of this test's own, by its address, and a way to start it (again)."""
    socket = tmp_path / "own.sock"
    words = [program(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        server = subprocess.Popen([*words, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
        running.append(server)
        _until(socket.exists)

    def stop() -> None:
        for server in running:
            server.kill()
            server.wait()
        running.clear()
        socket.unlink(missing_ok=True)

    start.stop = stop  # type: ignore[attr-defined]
    settings.REDIS_URL = f"redis+socket://{socket}"
    yield settings.REDIS_URL, start
    stop()


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def _ask(url: str, method: str = "GET", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, method=method, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_full_answers_and_ranges_from_zero_count_and_nothing_else(
    transactional_db: None,
    weeks: Weeks,
    make_web: MakeWeb,
    own_redis: tuple[str, Callable[[], None]],
) -> None:
    url, start = own_redis
    start()
    web = make_web(REDIS_URL=url)
    artifact = weeks.second.artifacts.get(role="initrd")
    path = f"{web.url}/{artifact.key}"
    assert _ask(path) == 200
    assert _ask(path, Range="bytes=0-9") == 206
    assert _ask(path, Range="bytes=10-19") == 206
    assert _ask(path, method="HEAD") == 200
    assert _ask(path, If_None_Match=f'"{artifact.sha256}"') == 304
    assert _ask(path, Range=f"bytes={artifact.size}-") == 416
    assert _ask(f"{path}.sha256") == 200
    sent = artifact.size + 10 + 10

    def is_counted() -> bool:
        take_counts(at=timezone.now())
        rows = DownloadCount.objects.filter(artifact=artifact)
        return sum(row.bytes for row in rows) >= sent

    _until(is_counted)
    rows = DownloadCount.objects.all()
    assert [(row.artifact_id, row.count, row.bytes) for row in rows] == [(artifact.pk, 2, sent)]


def test_downloads_go_on_while_redis_is_away_and_are_counted_after(
    transactional_db: None,
    weeks: Weeks,
    make_web: MakeWeb,
    own_redis: tuple[str, Callable[[], None]],
) -> None:
    url, start = own_redis
    web = make_web(REDIS_URL=url)
    artifact = weeks.second.artifacts.get(role="tarball")
    for _ in range(3):
        assert _ask(f"{web.url}/{artifact.key}") == 200
    assert take_counts(at=timezone.now()) == 0
    start()

    def is_counted() -> bool:
        take_counts(at=timezone.now())
        return sum(row.count for row in DownloadCount.objects.all()) == 3

    _until(is_counted)


def test_what_is_kept_in_memory_has_a_bound(tmp_path: Path) -> None:
    kept = Tally(f"redis+socket://{tmp_path}/nobody", seconds=3600, most=2)
    for artifact in (1, 2, 3, 1):
        kept.note(artifact, DAY, begun=True, size=5)
    assert not kept.flush()
    kept.note(4, DAY, begun=True, size=5)
    assert kept.kept() == 2


def test_killed_redis_loses_nothing_of_the_flush_it_did_not_answer(
    own_redis: tuple[str, Callable[[], None]],
) -> None:
    url, start = own_redis
    start()
    counted = Tally(url, seconds=3600)
    counted.note(1, DAY, begun=True, size=5)
    start.stop()  # type: ignore[attr-defined]
    assert not counted.flush()
    counted.note(1, DAY, begun=True, size=7)
    start()
    assert counted.flush()
    [(_, counts)] = tally.taken(url)
    assert counts == {(1, DAY): Count(2, 12)}


def test_flush_that_got_no_answer_is_not_counted_twice(
    own_redis: tuple[str, Callable[[], None]],
) -> None:
    url, start = own_redis
    start()
    batch = tally.Batch({(1, DAY): Count(1, 5)})
    with tally._client(url) as client:
        tally._add(client, batch)
        tally._add(client, batch)
    [(_, counts)] = tally.taken(url)
    assert counts == {(1, DAY): Count(1, 5)}


def test_batch_that_was_stored_but_not_dropped_is_not_stored_again(
    weeks: Weeks, own_redis: tuple[str, Callable[[], None]]
) -> None:
    url, start = own_redis
    start()
    artifact = weeks.first.artifacts.first()
    assert artifact is not None
    counted = Tally(url, seconds=3600)
    counted.note(artifact.pk, DAY, begun=True, size=5)
    counted.note(0, DAY, begun=True, size=5)  # of a file that is gone
    counted.flush()
    for name, counts in tally.taken(url):
        assert CountedBatch.objects.store(name, counts, at=NOW)  # and here the worker dies
    counted.note(artifact.pk, DAY, begun=True, size=6)
    counted.flush()
    assert take_counts(at=NOW) == 1
    assert list(tally.taken(url)) == []
    assert [(row.count, row.bytes) for row in DownloadCount.objects.all()] == [(2, 11)]


LINE = '203.0.113.9 - - [{time}] "{request} HTTP/1.1" {status} {size} "-" "curl/8"{more}\n'


def _line(path: str, request: str = "GET", status: int = 200, more: str = "") -> str:
    return LINE.format(
        time="23/Nov/2026:00:30:00 +0100",
        request=f"{request} {path}",
        status=status,
        size=100,
        more=more,
    )


def test_log_of_a_front_server_is_counted_once_and_resumed(weeks: Weeks, tmp_path: Path) -> None:
    artifact = weeks.second.artifacts.get(role="initrd")
    path, log = f"/{artifact.key}", tmp_path / "access.log"
    moving = f"/nix-community/nixos-images/releases/latest/download/{artifact.name}"
    log.write_text(
        _line(path)
        + _line(moving)
        + _line(path, "HEAD")
        + _line(path, status=304)
        + _line(path, status=206)
        + _line(path, status=206, more=' "bytes=0-99"')
        + _line("/releases/download/no/such/file")
        + "no line of a log\n"
        + _line(path)[:-9]
    )
    call_command("count_downloads", str(log))
    call_command("count_downloads", str(log))
    rows = DownloadCount.objects.all()
    # The fourth hit is of a line that has not ended; 00:30 in +0100 is the day before in UTC.
    assert [(row.artifact, row.day, row.count, row.bytes) for row in rows] == [
        (artifact, DAY, 3, 400)
    ]
    log.write_text(log.read_text() + 'l/8"\n')
    log = log.rename(tmp_path / "access.log.1")
    call_command("count_downloads", str(log))
    assert [row.count for row in rows.all()] == [4]


def test_no_address_of_a_log_is_stored(weeks: Weeks, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(_line(f"/{weeks.second.artifacts.first().key}"))  # type: ignore[union-attr]
    call_command("count_downloads", str(log))
    assert "203.0.113.9" not in str(list(CountedLog.objects.values()))


def test_daily_counts_of_old_weeks_become_one_on_their_monday(weeks: Weeks) -> None:
    artifact = Artifact.objects.all()[0]
    old = date(2025, 1, 6)  # a Monday
    days = [*(old + timedelta(days=n) for n in range(9)), DAY]
    DownloadCount.objects.add({(artifact.pk, day): Count(1, 10) for day in days})
    for _ in range(2):
        list(collect(at=NOW))
        rows = DownloadCount.objects.values_list("day", "count", "bytes")
        assert list(rows) == [
            (old, 7, 70),
            (old + timedelta(days=7), 2, 20),
            (DAY, 1, 10),
        ]
