"""The latest record, as programs rely on it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from builds.tests.downloads.conftest import Weeks, stored_release, weeks
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import channel

__all__ = ["weeks"]

URL = "/api/v1/latest/demo/x86_64-linux/"


@pytest.fixture
def record(client: Client, weeks: Weeks) -> dict[str, Any]:
    response = client.get(URL)
    assert response.status_code == 200
    return dict(response.json())


def test_record_has_exactly_the_keys_that_were_promised(record: dict[str, Any]) -> None:
    assert set(record) == {
        "channel",
        "system",
        "version",
        "sequence",
        "revision",
        "published_at",
        "origin",
        "release_url",
        "manifest_url",
        "sums_url",
        "provenance_url",
        "sbom_url",
        "signatures",
        "checks",
        "artifacts",
        "commands",
        "least_memory_mib",
    }
    assert record["version"] == "2.0"
    assert record["sequence"] == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["published_at"])
    for artifact in record["artifacts"]:
        assert set(artifact) == {
            "name", "variant", "role", "size", "sha256", "url", "immutable_url",
        }  # fmt: skip
    assert {"kexec", "ipxe", "nixos_anywhere"} <= set(record["commands"])


def test_every_url_of_the_record_gives_what_it_says(client: Client, record: dict[str, Any]) -> None:
    for artifact in record["artifacts"]:
        data = body(client.get(artifact["immutable_url"].removeprefix("http://testserver")))
        assert hashlib.sha256(data).hexdigest() == artifact["sha256"]
        assert len(data) == artifact["size"]
    for name in ("manifest_url", "sums_url"):
        assert client.get(record[name].removeprefix("http://testserver")).status_code == 200


def test_urls_begin_with_the_portal_url_whatever_the_request_claims(
    client: Client, weeks: Weeks, settings: LazySettings
) -> None:
    settings.PORTAL_URL = "https://images.example.org"

    text = client.get(URL, headers={"X-Forwarded-Host": "evil.example"}).content.decode()

    assert "https://images.example.org/releases/download/demo/2.0/" in text
    assert "evil.example" not in text
    assert "testserver" not in text


def test_number_of_queries_is_fixed(
    client: Client, weeks: Weeks, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        stored_release(weeks.channel, f"3.{number}")
    with django_assert_num_queries(4):
        client.get(URL)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/v1/latest/nope/x86_64-linux/", "Channels: demo"),
        ("/api/v1/latest/demo/riscv64-linux/", "not built for riscv64-linux"),
    ],
)
def test_what_is_not_there_is_a_problem_that_names_the_way_out(
    client: Client, weeks: Weeks, path: str, word: str
) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 404
    assert word in response.json()["detail"]


@pytest.mark.django_db
def test_channel_without_a_release_says_so(client: Client) -> None:
    of = channel("nixos-unstable")
    of.targets.create(system="x86_64-linux", variant="netboot", attribute="x")

    response = client.get("/api/v1/latest/nixos-unstable/x86_64-linux/")

    assert "no published release for x86_64-linux yet" in response.json()["detail"]


@pytest.mark.django_db
def test_openapi_and_its_page_are_served_from_here(client: Client) -> None:
    assert client.get("/api/v1/openapi.json").json()["openapi"].startswith("3.1")
    page = client.get("/api/v1/docs").content.decode()
    assert "swagger-ui" in page
    assert "://" not in re.sub(r'"http://testserver[^"]*"', "", page)
