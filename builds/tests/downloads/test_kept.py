"""Moving files are given out from memory, and never longer than they are true."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from builds import pipeline
from builds.models import Channel
from builds.tests.downloads.conftest import ready_release, stored_release
from builds.tests.factories import CheckFactory, publish_held
from builds.tests.models.rows import NOW, channel
from builds.tests.observed.reading import Numbers
from builds.tests.retention.dying import death_at
from builds.tests.webs import MakeWeb, Web

pytestmark = pytest.mark.django_db(transaction=True)
FOLDER = "/releases/download/demo"
LATEST = f"{FOLDER}/latest-x86_64-linux.json"
SCRIPT, SUMS = f"{FOLDER}/netboot-x86_64-linux.ipxe", f"{FOLDER}/SHA256SUMS"
MOVING = (LATEST, SCRIPT, SUMS)
RECORD = "/api/v1/latest/demo/x86_64-linux/"
CHANGES = frozenset({"date", "x-request-id"})


@pytest.fixture
def demo() -> Channel:
    of = channel()
    stored_release(of, "1.0")
    return of


@pytest.fixture
def web(make_web: MakeWeb, demo: Channel, storage_folder: Path, signer_keys: Path) -> Web:
    """One process; its storage is the test's own."""
    return make_web()


Said = tuple[int, dict[str, str], str]


def ask(web: Web, path: str, method: str = "GET", **headers: str) -> Said:
    """Status, headers and body of an answer."""
    server = http.client.HTTPConnection(urlsplit(web.url).netloc, timeout=30)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    server.request(method, path, headers=given)
    answer = server.getresponse()
    told = {name.lower(): value for name, value in answer.getheaders()}
    said = (answer.status, told, answer.read().decode())
    server.close()
    return said


def same(said: Said) -> Any:
    """All of an answer but what differs each time."""
    status, headers, body = said
    return status, {n: v for n, v in headers.items() if n not in CHANGES}, body


def version(web: Web) -> str:
    return str(json.loads(ask(web, LATEST)[2])["version"])


def counted(web: Web) -> float:
    told = Numbers.of(ask(web, "/metrics")[2])
    return told.sum("portal_http_requests_total", route="channel-file", status="200")


def forget_the_heads() -> None:
    """Behind everybody's back, so that whoever asks the database from now on finds nothing."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM builds_head")


def test_answer_from_memory_is_that_of_django(web: Web) -> None:
    asked: list[tuple[str, str, dict[str, str]]] = [
        (path, method, {}) for path in MOVING for method in ("GET", "HEAD")
    ]
    etag = ask(web, SCRIPT)[1]["etag"]
    asked.append((SCRIPT, "GET", {"If_None_Match": etag}))
    first = [ask(web, path, method, **headers) for path, method, headers in asked]
    before = counted(web)
    forget_the_heads()

    for (path, method, headers), was in zip(asked, first, strict=True):
        again = ask(web, path, method, **headers)
        assert was[0] == (304 if headers else 200)
        assert bool(was[2]) == (method == "GET" and not headers)
        assert same(again) == same(was), (path, method)
        assert again[1]["x-request-id"] != was[1]["x-request-id"]
        assert ask(web, path, method, **headers, Cookie="a=b")[0] == 404, "Django was asked"
    assert ask(web, SCRIPT, If_None_Match='"another"')[0] == 404, "Django was asked"
    assert counted(web) - before == len(MOVING) * 2, "in /metrics, as Django counts them"


def test_head_is_the_head_alone_and_nobody_is_warned(web: Web, tmp_path: Path) -> None:
    for path in (SUMS, "/", "/status/", "/api/v1/channels/", f"{FOLDER}/initrd-x86_64-linux"):
        for _ in range(2):
            status, headers, text = ask(web, path, "HEAD")
            assert (status, text) == (200, ""), path
            assert int(headers["content-length"]) > 0, path
    log = (tmp_path / f"web-{urlsplit(web.url).port}.log").read_text()
    assert "WARNING" not in log


def test_answer_from_memory_takes_over_the_id_of_a_trusted_front_server(
    make_web: MakeWeb, demo: Channel, storage_folder: Path, signer_keys: Path
) -> None:
    given = "0123456789abcdef0123456789abcdef"
    behind, open_to_all = make_web(TRUSTED_PROXIES="1"), make_web()
    for web in (behind, open_to_all):
        ask(web, SUMS, X_Request_ID=given)
    forget_the_heads()

    status, headers, _ = ask(behind, SUMS, X_Request_ID=given)
    assert (status, headers["x-request-id"]) == (200, given)
    assert ask(behind, SUMS, X_Request_ID="<b>")[1]["x-request-id"] != "<b>"
    status, headers, _ = ask(open_to_all, SUMS, X_Request_ID=given)
    assert status == 200
    assert headers["x-request-id"] != given, "anybody could look like another"


def test_record_of_the_latest_is_kept_for_a_moment_and_never_over_a_publish(
    web: Web, demo: Channel
) -> None:
    def record() -> tuple[str, list[str]]:
        said = json.loads(ask(web, RECORD)[2])
        return said["version"], [check["name"] for check in said["checks"]]

    assert same(ask(web, RECORD)) == same(ask(web, RECORD))
    etag = ask(web, RECORD)[1]["etag"]
    assert [ask(web, RECORD, If_None_Match=etag)[0] for _ in range(2)] == [304, 304]
    assert ask(web, f"{RECORD}?at=2001-01-01")[0] == 404, "another question"
    for number in ("2.0", "3.0"):
        release = stored_release(demo, number)
        assert record() == (number, [])
    CheckFactory(release=release, name="boot-later")
    until = time.monotonic() + 10
    while record() != ("3.0", ["boot-later"]):
        assert time.monotonic() < until, "a check that is made later is told soon"
        time.sleep(0.05)
    forget_the_heads()
    before = [ask(web, RECORD)[0] for _ in range(20)]
    assert 200 in before, "Django was asked each time"
    time.sleep(1.1)
    ask(web, RECORD)
    assert ask(web, RECORD)[0] == 404


def test_publish_and_withdrawal_are_seen_at_once(web: Web, demo: Channel) -> None:
    etag = ask(web, LATEST)[1]["etag"]
    for number in ("2.0", "3.0"):
        assert version(web) != number
        newest = stored_release(demo, number)
        assert version(web) == number
        assert f"{number}/initrd" in ask(web, SCRIPT)[2]
    assert ask(web, LATEST, If_None_Match=etag)[0] == 200

    pipeline.withdraw(newest, "it eats disks", by=None, at=timezone.now())

    assert version(web) == "2.0"
    pipeline.roll_back(demo.releases.get(version="1.0"), "", by=None, at=timezone.now())
    assert version(web) == "1.0"
    for number in ("2.0", "1.0"):
        release = demo.releases.get(version=number)
        pipeline.withdraw(release, "it eats disks", by=None, at=timezone.now())
    assert [ask(web, path)[0] for path in MOVING] == [404, 404, 404]


def test_publish_is_seen_where_its_worker_died_before_it_wrote_what_moves(
    web: Web, demo: Channel, storage_folder: Path
) -> None:
    before = version(web)
    release = ready_release(demo, "2.0")

    with death_at("publish: before a moving file"):
        publish_held(release, NOW)

    stored = json.loads((storage_folder / LATEST.removeprefix("/")).read_text())
    assert stored["version"] == before, "the file tells what was"
    assert version(web) == "2.0"
    assert version(web) == "2.0", "and what is kept now tells it, too"


def test_what_is_not_asked_plainly_goes_through(web: Web) -> None:
    whole = ask(web, SUMS)[2]
    for _ in range(2):
        status, headers, part = ask(web, SUMS, Range="bytes=3-9")
        assert (status, part) == (206, whole[3:10])
        assert headers["content-range"] == f"bytes 3-9/{len(whole)}"
        assert ask(web, SUMS, "POST")[0] == 405
        assert ask(web, f"{SUMS}.sha256")[2].endswith("  SHA256SUMS\n")
        for strange in ("..", "%00", "%C3%A4", "nope"):
            assert ask(web, f"/releases/download/{strange}/SHA256SUMS")[0] in {400, 404}, strange
