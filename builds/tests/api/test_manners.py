"""What holds for every address of the API: problems, CORS, methods, and what goes away."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from ninja import NinjaAPI

from builds.api.deprecation import Deprecation, deprecated
from builds.api.problems import Problem, handle_errors
from builds.tests.factories import ChannelFactory, ReleaseFactory

pytestmark = pytest.mark.django_db
API = "/api/v1/"
MEMBERS = {"type", "title", "status", "detail", "instance"}


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-ID"]
    document = dict(response.json())
    assert set(document) >= MEMBERS
    assert document["status"] == status
    return document


def test_unknown_paths_are_problems(client: Client) -> None:
    for path in (API, f"{API}nope", f"{API}latest/", f"{API}builds/1/nope"):
        said = problem(client.get(path), 404)
        assert said["instance"] == path
        assert "/api/v1/docs" in said["detail"]


def test_other_methods_are_told_what_is_allowed(client: Client) -> None:
    response = client.delete(f"{API}channels/")
    assert "GET, HEAD, OPTIONS" in problem(response, 405)["detail"]
    assert response["Allow"] == "GET, HEAD, OPTIONS"


def test_nul_bytes_and_strange_hosts_are_problems(client: Client) -> None:
    problem(client.get(f"{API}releases/?version=%00"), 400)
    problem(client.get(f"{API}latest/%00/x86_64-linux/"), 400)
    problem(client.get(f"{API}latest/demo/x86_64-linux", headers={"Host": "evil.example"}), 400)


def test_invalid_parameters_are_named(client: Client) -> None:
    said = problem(client.get(f"{API}builds/one/"), 422)
    assert said["errors"][0]["parameter"] == "build_id"


def test_own_faults_are_logged_under_the_number_that_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = NinjaAPI(urls_namespace="broken")
    handle_errors(api)
    with caplog.at_level(logging.ERROR, "django.request"):
        response = api.on_exception(RequestFactory().get("/api/v1/x"), RuntimeError("a secret"))
    assert response.status_code == 500
    assert b"a secret" not in response.content
    assert b"request_id" in response.content
    assert "a secret" in caplog.text


def test_any_site_may_read_and_none_may_send_credentials(client: Client) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    path = f"{API}latest/demo/x86_64-linux/"
    asked = {
        "Origin": "https://other.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "if-none-match",
    }
    answer = client.options(path, headers=asked)
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert "If-None-Match" in answer["Access-Control-Allow-Headers"]
    assert "Authorization" not in answer["Access-Control-Allow-Headers"]
    for response in (answer, client.get(path), client.get(f"{API}nope")):
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response
    assert "ETag" in client.get(path)["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in client.post(path)


def test_deprecated_operation_says_until_when_and_what_instead() -> None:
    api = NinjaAPI(urls_namespace="going")
    since, sunset = datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)

    @api.get("old/{channel}/")
    @deprecated(Deprecation(since, sunset, "/api/v1/channels/{channel}/"))
    def old(request: HttpRequest, channel: str) -> HttpResponse:
        return HttpResponse("x", headers={"Link": '<n>; rel="next"'})

    response = old(RequestFactory().get("/"), channel="demo")
    assert response["Deprecation"] == "@1780272000"
    assert response["Sunset"] == "Tue, 01 Jun 2027 00:00:00 GMT"
    successor = '<http://testserver/api/v1/channels/demo/>; rel="successor-version"'
    assert response["Link"] == f'<n>; rel="next", {successor}'
    operations = api.default_router.path_operations["old/{channel}/"].operations
    assert operations[0].deprecated
    with pytest.raises(ValueError, match="for a while"):
        deprecated(Deprecation(sunset, since, "/"))


def test_problem_has_members_and_headers_of_its_own() -> None:
    api = NinjaAPI(urls_namespace="refusing")
    handle_errors(api)
    refusal = Problem(429, "Later.", headers={"Retry-After": "9"}, queue_length=3)
    response = api.on_exception(RequestFactory().get("/api/v1/ä"), refusal)
    assert response["Retry-After"] == "9"
    assert b'"queue_length": 3' in response.content
    assert b"/api/v1/%C3%A4" in response.content


def test_channel_of_a_strange_name_is_not_found(client: Client) -> None:
    ChannelFactory(name="demo")
    for name in ("..", "%F0%9F%98%80", "a" * 500, "Demo"):
        problem(client.get(f"{API}channels/{name}/"), 404)
