"""20 channels, 2 systems, 500 releases each: few queries, a light first page, in good time."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from builds.management.crowd import make_crowd
from builds.models import Build, Release
from builds.tests.downloads.test_downloads import body

MOST_QUERIES = 10
GROWING = frozenset({"release", "build", "artifact", "check", "headmove", "downloadcount"})
FIRST_VISIT = 60_000  # bytes

PAGES = (
    "/",
    "/?channel=crowd-07&system=aarch64-linux&method=ipxe",
    "/channels/crowd-03/",
    "/channels/crowd-03/?system=x86_64-linux&page=9",
    "/channels/crowd-03/x86_64-linux/",
    "/builds/",
    "/builds/?status=failed&channel=crowd-03&variant=netboot&page=2",
    "/status/",
    "/feed.atom",
    "/channels/crowd-03/feed.atom",
    "/repos/nix-community/nixos-images",
    "/repos/nix-community/nixos-images/releases",
    "/repos/nix-community/nixos-images/releases?per_page=100&page=7",
    "/repos/nix-community/nixos-images/releases/latest",
    "/repos/nix-community/nixos-images/releases/tags/crowd-03",
    "/api/latestbuilds?nr=1000&jobset=crowd-03",
    "/streams/crowd-03.json",
    "/streams/v1/index.json",
    "/streams/v1/org.nixos.images:crowd-03:download.json",
    "/badge/crowd-03/x86_64-linux.svg",
    "/badge/crowd-03/aarch64-linux.json",
    "/releases/download/crowd-03/initrd-x86_64-linux.meta4",
    "/releases/latest/download/initrd-x86_64-linux.meta4",
    "/api/v1/channels/",
    "/api/v1/channels/crowd-03/",
    "/api/v1/latest/crowd-03/x86_64-linux/",
    "/api/v1/latest/crowd-03/x86_64-linux/?at=2026-01-01",
    "/api/v1/releases/?limit=100",
    "/api/v1/releases/?channel=crowd-03&system=aarch64-linux&status=failed&variant=netboot",
    "/api/v1/builds/?limit=100",
    "/api/v1/builds/?channel=crowd-03&system=aarch64-linux&status=failed&variant=netboot",
)


@pytest.fixture(scope="module")
def crowd(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The rows, made once for all tests here and taken back after them."""
    with django_db_blocker.unblock():
        atomic = transaction.atomic()
        atomic.__enter__()
        make_crowd(20, 500, at=timezone.now())
        yield
        transaction.set_rollback(True)
        atomic.__exit__(None, None, None)


def pages() -> list[str]:
    """The lists, and releases and builds of every kind, the oldest and the newest."""
    good = Release.objects.published()
    releases = [good.first(), good.last(), Release.objects.failed().last()]
    builds = [
        Build.objects.succeeded().order_by("pk").last(),
        Build.objects.ended().filter(status="failed").last(),
    ]
    found = [row for row in (*releases, *builds) if row is not None]
    assert len(found) == 5
    return [*PAGES, *(path for row in found for path in paths_of(row))]


def paths_of(row: Release | Build) -> list[str]:
    """Of a release or a build its page, and what the API tells of it."""
    if isinstance(row, Build):
        own = [reverse(f"api:{name}", args=[row.pk]) for name in ("build", "log", "lines")]
    else:
        own = [reverse("api:release", args=[row.channel.name, row.version, row.system])]
    return [row.get_absolute_url(), *own]


@pytest.mark.usefixtures("crowd")
def test_every_page_takes_at_most_ten_queries(db: None, client: Client) -> None:
    assert Release.objects.count() == 20 * 2 * 500
    counts = {}
    for path in pages():
        with CaptureQueriesContext(connection) as queries:
            response = client.get(path)
            assert response.status_code == 200, path
            body(response)
        counts[path] = len(queries)
    assert {path: count for path, count in counts.items() if count > MOST_QUERIES} == {}


@pytest.mark.usefixtures("crowd")
def test_no_page_reads_all_of_a_history(db: None, client: Client) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("asks SQLite for its plans")
    asked: dict[str, tuple[str, str, Any]] = {}

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.setdefault(re.sub(r"%s(, %s)*", "?", sql), (path, sql, params))
        return execute(sql, params, many, context)

    for path in pages():
        with connection.execute_wrapper(note):
            body(client.get(path))
    assert len(asked) > 50
    long = {
        path: found
        for path, sql, params in asked.values()
        if sql.startswith("SELECT") and (found := _read_whole(sql, params))
    }
    assert set(long) <= {"/status/"}  # adds up what the storage holds, which retention bounds


def _read_whole(sql: str, params: Any) -> list[str]:
    """The tables that grow with time and that this query reads from end to end."""
    if re.search(r"LIMIT \d+( OFFSET \d+)?\Z", sql):
        return []  # walks along an index until it has enough
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        steps = [row[3] for row in cursor.fetchall()]
    names = [match[1] for step in steps if (match := re.match(r"SCAN (\w+)", step))]
    tables = {alias: table for table, alias in re.findall(r'"builds_(\w+)" ([TUVW]\d+)', sql)}
    return [name for name in names if tables.get(name, name.removeprefix("builds_")) in GROWING]


@pytest.mark.usefixtures("crowd")
def test_first_visit_of_the_dashboard_is_light(db: None, client: Client) -> None:
    response = client.get("/", headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
    assert response["Content-Encoding"] == "gzip"
    page = gzip.decompress(response.content).decode()
    assert page.count('class="cell') >= 40
    files = re.findall(r'(?:href|src)="/static/([^"]+\.(?:css|js|svg))"', page)
    assert files
    packed = [len(gzip.compress((settings.BASE_DIR / "static" / f).read_bytes())) for f in files]
    assert len(response.content) + sum(packed) < FIRST_VISIT
