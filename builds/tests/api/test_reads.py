"""The lists and the details that programs read, and what of them may be kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds.choices import BuildStatus, ReleaseStatus
from builds.models import Release
from builds.tests.factories import (
    NOW,
    BuildFactory,
    ChannelFactory,
    CheckFactory,
    ReleaseFactory,
)
from builds.tests.shown.rows import rows_in_every_state

pytestmark = pytest.mark.django_db
API = "/api/v1/"
LATEST = f"{API}latest/demo/x86_64-linux/"


def walk(client: Client, path: str, name: str) -> list[dict[str, Any]]:
    """Every row of a list, page by page."""
    rows: list[dict[str, Any]] = []
    while path:
        response = client.get(path)
        assert response.status_code == 200, response.content
        page = response.json()
        rows += page[name]
        link = f'<{page["next"]}>; rel="next"' if page["next"] else None
        assert response.headers.get("Link") == link
        path = (page["next"] or "").removeprefix("http://testserver")
    return rows


def test_lists_show_what_the_pages_show_whatever_became_of_it(client: Client) -> None:
    rows_in_every_state(timezone.now())
    releases = walk(client, f"{API}releases/?limit=7", "releases")
    assert len(releases) == Release.objects.count()
    wanted = {"draft", "published", "failed", "withdrawn", "cancelled"}
    assert wanted <= {each["status"] for each in releases}
    assert [each["created_at"] for each in releases] == sorted(
        (each["created_at"] for each in releases), reverse=True
    )
    builds = walk(client, f"{API}builds/?limit=50", "builds")
    assert {each["status"] for each in builds} == set(BuildStatus.values)
    for each in [*releases[:9], *builds[:9]]:
        if each["url"]:
            assert client.get(each["url"].removeprefix("http://testserver")).status_code == 200


def test_pages_neither_repeat_nor_leave_out_while_rows_come(client: Client) -> None:
    demo = ChannelFactory(name="demo")
    for age in range(6):
        ReleaseFactory(channel=demo, published=True, at=NOW - timedelta(days=age))
    first = client.get(f"{API}releases/?limit=3").json()
    ReleaseFactory(channel=demo, published=True, at=NOW + timedelta(days=1))
    rest = walk(client, first["next"].removeprefix("http://testserver"), "releases")
    ids = [each["id"] for each in [*first["releases"], *rest]]
    assert len(ids) == len(set(ids)) == 6


@pytest.mark.parametrize("cursor", ["abc", "%F0", "W10", "WyJidWlsZHMiLCIyMDI2IiwxXQ", "ä"])
def test_wrong_cursor_is_a_problem_that_names_the_way_out(client: Client, cursor: str) -> None:
    response = client.get(f"{API}releases/?cursor={cursor}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["parameter"] == "cursor"
    assert "leave it out" in response.json()["detail"]


def test_filters_narrow_and_slips_are_told(client: Client) -> None:
    demo = ChannelFactory(name="demo")
    good = ReleaseFactory(channel=demo, published=True, at=NOW - timedelta(days=9))
    ReleaseFactory(channel=demo, failed=True, at=NOW)
    path = f"{API}releases/?channel=demo"
    assert len(client.get(path).json()["releases"]) == 2
    for narrow in (
        "status=published",
        f"version={good.version}",
        "until=2026-11-15",
        "since=2026-11-01&until=2026-11-20T00:00:00+02:00",
    ):
        [only] = client.get(f"{path}&{narrow}").json()["releases"]
        assert only["version"] == good.version, narrow
    assert client.get(f"{path}&variant=iso").json()["releases"] == []
    assert client.get(f"{API}releases/?channel=demp").status_code == 404
    assert "demo" in client.get(f"{API}releases/?channel=demp").json()["detail"]
    for slip in ("chanel=demo", "status=green", "limit=101", "since=yesterday"):
        response = client.get(f"{path}&{slip}")
        assert response.status_code == 422, slip
        assert response.json()["errors"][0]["parameter"] == slip.partition("=")[0]


def test_withdrawn_release_names_its_successor_and_gives_nothing_out(client: Client) -> None:
    demo = ChannelFactory(name="demo")
    old = ReleaseFactory(channel=demo, withdrawn=True, reason="broken", at=NOW - timedelta(days=3))
    new = ReleaseFactory(channel=demo, published=True)
    said = client.get(f"{API}releases/demo/{old.version}/x86_64-linux/").json()
    assert (said["status"], said["reason"]) == (ReleaseStatus.WITHDRAWN, "broken")
    assert new.version in said["successor_url"]
    assert said["commands"] == {}
    assert {each["immutable_url"] for each in said["artifacts"]} == {None}
    assert said["manifest_url"] is None
    latest = client.get(f"{API}releases/demo/{new.version}/x86_64-linux/").json()
    assert latest["successor_url"] is None
    assert "ipxe" in latest["commands"]


def test_release_that_was_made_here_tells_its_origin_and_its_signatures(client: Client) -> None:
    made = ReleaseFactory(channel__name="demo", published=True, stored=True)
    said = client.get(f"{API}releases/demo/{made.version}/x86_64-linux/").json()
    assert (said["origin"], said["transfer"]) == ({"kind": "built", "source": ""}, None)
    assert said["signatures"] == client.get(LATEST).json()["signatures"]
    assert said["signatures"].keys() == said["manifest_signatures"].keys() == {"ssh", "minisign"}
    for url in [*said["signatures"].values(), *said["manifest_signatures"].values()]:
        assert client.get(url.removeprefix("http://testserver")).status_code == 200, url


def test_channels_tell_their_latest(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", published=True)
    [row] = client.get(f"{API}channels/").json()["channels"]
    assert row == client.get(f"{API}channels/demo/").json()
    assert [each["latest_version"] for each in row["systems"]] == [release.version, None]


@pytest.mark.parametrize("kind", ["latest", "release", "build", "channels", "releases", "builds"])
def test_who_has_the_answer_gets_304_until_it_changes(client: Client, kind: str) -> None:
    demo = ChannelFactory(name="demo")
    release = ReleaseFactory(channel=demo, published=True)
    build = release.builds.first()
    path = {
        "latest": LATEST,
        "release": f"{API}releases/demo/{release.version}/x86_64-linux/",
        "build": f"{API}builds/{build.pk}/",
    }.get(kind, f"{API}{kind}/")
    whole = client.get(path)
    assert whole["Cache-Control"] == "public, no-cache"
    assert "Vary" not in whole
    again = client.get(path, headers={"If-None-Match": whole["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == whole["ETag"]
    if kind in {"latest", "release", "build"}:
        since = {"If-Modified-Since": whole["Last-Modified"]}
        assert client.get(path, headers=since).status_code == 304
    if kind == "build":
        return
    demo.title = "Another"
    demo.save()
    ReleaseFactory(channel=demo, published=True, at=NOW)
    assert client.get(path, headers={"If-None-Match": whole["ETag"]}).status_code == 200
    if kind in {"latest", "release"}:
        assert client.get(path, headers=since).status_code == 200


def test_later_check_changes_the_tag_of_latest(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", published=True)
    before = client.get(LATEST)
    CheckFactory(release=release, name="boot-kvm", gates=False, passed=True, finished_at=NOW)
    after = client.get(LATEST)
    assert before["ETag"] != after["ETag"]
    assert len(after.json()["checks"]) == len(before.json()["checks"]) + 1


def test_304_of_latest_takes_one_query(client: Client, django_assert_num_queries: Any) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    tag = client.get(LATEST)["ETag"]
    with django_assert_num_queries(1):
        assert client.get(LATEST, headers={"If-None-Match": tag}).status_code == 304


def test_head_says_what_get_would_without_a_body(client: Client) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    build = BuildFactory(succeeded=True, log=["a", "b"])
    paths = (LATEST, f"{API}releases/", f"{API}openapi.json", f"{API}builds/{build.pk}/log", API)
    for path in paths:
        whole, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        for name in ("Content-Type", "ETag", "Content-Length"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)
