"""Moving files are given out from memory, and never longer than they are true."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from builds import pipeline
from builds.models import Channel
from builds.tests.downloads.conftest import ready_release, stored_release
from builds.tests.factories import publish_held
from builds.tests.models.rows import NOW, channel
from builds.tests.observed.reading import Numbers
from builds.tests.retention.dying import death_at
from builds.tests.webs import MakeWeb, Web

pytestmark = pytest.mark.django_db(transaction=True)
FOLDER = "/releases/download/demo"
LATEST = f"{FOLDER}/latest-x86_64-linux.json"
SCRIPT, SUMS = f"{FOLDER}/netboot-x86_64-linux.ipxe", f"{FOLDER}/SHA256SUMS"
MOVING = (LATEST, SCRIPT, SUMS)
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


def forget_the_heads() -> None:
    """Behind everybody's back, so that whoever asks the database from now on finds nothing."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM builds_head")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answer_from_memory_is_that_of_django(web: Web, method: str) -> None:
    first = {path: ask(web, path, method) for path in MOVING}
    forget_the_heads()

    for path, (status, headers, body) in first.items():
        again = ask(web, path, method)
        assert status == 200
        assert bool(body) == (method == "GET")
        assert same(again) == same((status, headers, body)), path
        assert again[1]["x-request-id"] != headers["x-request-id"]
        assert ask(web, path, Cookie="a=b")[0] == 404, "Django was asked"


def test_reader_who_has_it_is_told_so_from_memory(web: Web) -> None:
    etag = ask(web, SCRIPT)[1]["etag"]
    first = ask(web, SCRIPT, If_None_Match=etag)
    assert (first[0], first[2], first[1]["etag"]) == (304, "", etag)
    forget_the_heads()

    assert same(ask(web, SCRIPT, If_None_Match=etag)) == same(first)
    assert ask(web, SCRIPT, If_None_Match='"another"')[0] == 404, "Django was asked"


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


def test_last_withdrawal_leaves_nothing(web: Web, demo: Channel) -> None:
    assert version(web) == "1.0"

    pipeline.withdraw(demo.releases.get(), "it eats disks", by=None, at=timezone.now())

    assert [ask(web, path)[0] for path in MOVING] == [404, 404, 404]


@pytest.mark.parametrize("point", ["publish: moving sums signed", "publish: before a moving file"])
def test_publish_is_seen_where_its_worker_died_before_it_wrote_what_moves(
    web: Web, demo: Channel, storage_folder: Path, point: str
) -> None:
    before = version(web)
    release = ready_release(demo, "2.0")

    with death_at(point):
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


def test_answers_from_memory_are_counted(web: Web) -> None:
    def counted() -> float:
        told = Numbers.of(ask(web, "/metrics")[2])
        return told.sum("portal_http_requests_total", route="channel-file", status="200")

    before = counted()
    for _ in range(5):
        ask(web, SUMS)
    assert counted() - before == 5
