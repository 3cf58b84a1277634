"""Every route there is answers with a strict Content-Security-Policy."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from builds.models import Release
from builds.tests.factories import BuildFactory, ReleaseFactory, UserFactory

pytestmark = pytest.mark.django_db

STRICT = {
    "default-src": {"'none'"},
    "script-src": {"'self'"},
    "style-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "font-src": {"'self'"},
    "connect-src": {"'self'"},
    "form-action": {"'self'"},
    "base-uri": {"'none'"},
    "frame-ancestors": {"'none'"},
}
# What somebody else built may be anything, so it may do nothing at all.
DOWNLOAD = {"default-src": {"'none'"}, "sandbox": set()}
FILES = re.compile(r"^keys/|releases/(latest/)?download/|/screen\.png$|/kept/")
INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\son[a-z]+=|\sstyle=", re.IGNORECASE)


def routes(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """Every pattern of the portal as one string."""
    for each in resolver.url_patterns:
        here = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from routes(each, here)
        elif isinstance(each, URLPattern):
            yield here


def filled(route: str, release: Release) -> str:
    """A path that a pattern matches, of rows that are there where it names any."""
    build = release.builds.first()
    assert build is not None
    values = {
        "channel": release.channel.name,
        "system": release.system,
        "version": release.version,
        "pk": build.pk,
        "build_id": build.pk,
        "name": "initrd-x86_64-linux",
        "object_id": release.pk,
    }
    path = re.sub(r"<(?:\w+:)?(\w+)>|\{(\w+)\}", lambda m: str(values.get(m[1] or m[2], 1)), route)
    path = re.sub(r"\(\?P<\w+>(.*?)\)(?=\$|/|\Z)", "x", path)
    return "/" + re.sub(r"[\^$\\]|\(\?:.*?\)", "", path)


@pytest.fixture
def release() -> Release:
    found: Release = ReleaseFactory(channel__name="demo", published=True, stored=True)
    BuildFactory(failed=True)
    return found


def policy(response: object) -> dict[str, set[str]]:
    header = response.headers.get("Content-Security-Policy", "")  # type: ignore[attr-defined]
    parts = (part.split() for part in header.split(";") if part.strip())
    return {name: set(sources) for name, *sources in parts}


def test_every_route_has_the_strict_policy(client: Client, release: Release) -> None:
    client.force_login(UserFactory(admin=True))
    known = sorted(set(routes(get_resolver())))
    assert len(known) > 60
    loose = {}
    for route in known:
        path = filled(route, release).replace("events", "log")  # a stream has a thread of its own
        response = client.get(path)
        wanted = DOWNLOAD if FILES.search(route) else STRICT
        if policy(response) != wanted:
            loose[route] = policy(response)
        response.close()
    assert loose == {}


def test_no_page_has_inline_code(client: Client, release: Release) -> None:
    paths = [
        *("/", "/builds/", "/status/", "/channels/demo/", "/channels/nowhere/"),
        *(release.get_absolute_url(), *(b.get_absolute_url() for b in release.builds.all())),
    ]
    for path in paths:
        assert INLINE.findall(client.get(path).content.decode()) == [], path


def test_policy_of_the_settings_is_this_one() -> None:
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    assert {name: set(sources) for name, sources in directives.items()} == STRICT
