"""Headers of every route, as a browser meets them: pages, refusals, files, cookies, the server."""

from __future__ import annotations

import http.client
import logging
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.http import HttpResponseBase
from django.test import Client

from builds.tests.accounts.conftest import PASSWORD, person
from builds.tests.attack.routes import filled, routes
from builds.tests.attack.site import Door, Site
from builds.tests.attack.table import lines
from builds.tests.webs import MakeWeb

FILES = re.compile(r"^keys/|releases/(?:latest/)?download/(?!.*(?:meta4|torrent)$)")
ARTIFACT = re.compile(r"releases/(?:latest/)?download/(?:<str:\w+>/)*<str:name>$")
PLAIN = "default-src 'none'; sandbox"
EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Refusals need not be logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def faults(response: HttpResponseBase, route: str) -> list[str]:
    """What is missing from an answer."""
    headers = response.headers
    found = [name for name, value in EVERYWHERE.items() if headers.get(name) != value]
    policy = headers.get("Content-Security-Policy", "")
    if FILES.search(route):
        found += [] if policy == PLAIN else [f"policy {policy}"]
    elif (
        not {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"}
        <= {part.strip() for part in policy.split(";")}
        and policy != PLAIN
    ):
        found.append(f"policy {policy}")
    if "unsafe" in policy or "*" in policy:
        found.append(f"policy {policy}")
    if "camera=()" not in headers.get("Permissions-Policy", ""):
        found.append("Permissions-Policy")
    is_private = "Cookie" in headers.get("Vary", "")
    is_page = headers.get("Content-Type", "").startswith("text/html")
    resource = "same-origin" if is_private or is_page else "cross-origin"
    if headers.get("Cross-Origin-Resource-Policy") != resource:
        found.append("Cross-Origin-Resource-Policy")
    is_file = ARTIFACT.search(route) and response.status_code == 200
    if is_file and not headers.get("Content-Disposition", "").startswith('attachment; filename="'):
        found.append("Content-Disposition")
    return [*found, *(name for name in ("Server", "X-Powered-By") if name in headers)]


def test_every_answer_has_every_header(site: Site) -> None:
    door = Door(csrf=True)
    wrong: dict[str, list[str]] = {}
    for route in routes():
        path = filled(route, site.values)
        for method, who in (("GET", "superuser"), ("GET", "anonymous"), ("TRACE", "anonymous")):
            found = faults(door.answer(site.ask(method, path, who=who)), route)
            if found and not (method == "TRACE" and FILES.search(route)):
                wrong[f"{method} {route} by {who}"] = found
    assert wrong == {}
    assert set(routes()) == set(lines())


def test_answers_that_no_view_gives_have_them_too(site: Site, settings: LazySettings) -> None:
    door = Door(csrf=True)
    for path in ("/nowhere", "/static/nowhere.css", "/api/v1/nowhere", "/channels/%00/"):
        assert faults(door.answer(site.ask("GET", path)), "") == [], path
    settings.ALLOWED_HOSTS = ["images.example.org"]
    refused = door.answer(site.ask("GET", "/", headers={"Host": "evil.example"}))
    assert refused.status_code == 400
    assert faults(refused, "") == []


def test_files_of_a_release_are_never_opened_in_a_browser(site: Site) -> None:
    door = Door(csrf=True)
    names = ("initrd-x86_64-linux", "netboot-x86_64-linux.ipxe", "SHA256SUMS-x86_64-linux")
    for name in (*names, "release-x86_64-linux.json", f"{names[0]}.sha256"):
        answer = door.answer(site.ask("GET", f"/releases/download/demo/1.0/{name}"))
        assert answer.status_code == 200, name
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["Content-Security-Policy"] == PLAIN
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not answer.headers["Content-Type"].startswith(("text/html", "image/svg"))


@pytest.mark.parametrize("is_https", [True, False])
@pytest.mark.usefixtures("db")
def test_cookies_are_kept_from_scripts_and_from_other_sites(
    is_https: bool, settings: LazySettings
) -> None:
    # As the settings set them where PORTAL_URL begins so; see test_settings for that.
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = is_https
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    person("ann")
    client = Client(enforce_csrf_checks=False)
    client.get("/accounts/login/", secure=is_https)
    done = client.post("/accounts/login/", {"login": "ann", "password": PASSWORD}, secure=is_https)
    assert done.status_code == 302
    client.post("/preferences", {"language": "de"}, secure=is_https)
    kept = client.cookies
    assert {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME} <= set(kept)
    for name, morsel in kept.items():
        assert morsel["samesite"] in {"Lax", "Strict"}, name
        if name in {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}:
            assert morsel["httponly"], name
            assert bool(morsel["secure"]) == is_https, name


def test_server_does_not_say_what_it_is(make_web: MakeWeb) -> None:
    place = urlsplit(make_web().url)
    for method, path in (
        ("GET", "/healthz"),
        ("GET", "/releases/download/x/y"),
        ("BAD METHOD", "/"),
    ):
        connection = http.client.HTTPConnection(place.hostname or "", place.port)
        connection.putrequest(method, path, skip_host=False)
        connection.endheaders()
        answer = connection.getresponse()
        told = str(answer.headers) + answer.read().decode(errors="replace")
        connection.close()
        assert not re.search(r"gunicorn|python|django|wsgi", told, re.IGNORECASE), told
