"""Every route by every method and everybody: what is allowed stands in routes.txt."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.http import HttpResponseBase
from django.test import RequestFactory

from builds.tests.attack.routes import filled, routes
from builds.tests.attack.site import PEOPLE, Door, Site
from builds.tests.attack.table import METHODS, lines
from builds.tests.uploads.conftest import netboot, wish

SIGN_IN = re.compile(r"/(?:accounts|admin)/login/\?")
# What a right request sends, where an empty one would be refused for that.
BODIES: dict[str, Any] = {
    "api/v1/releases/": {"channel": "demo"},
    "api/v1/releases/<channel>/<version>/<system>/withdraw/": {"reason": "It does not boot."},
    "api/v1/uploads/": wish(netboot(), version="9.0", partial=True),
}


@pytest.fixture
def silence() -> Iterator[None]:
    """Thousands of refusals need not be logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def raw_templates(site: Site, settings: LazySettings) -> None:
    """Statuses are asked for here, thousands of them: pages need not be rendered."""
    [django] = settings.TEMPLATES
    plain = "builds.tests.attack.site.Unrendered"
    pages = {"BACKEND": plain, "DIRS": django["DIRS"], "APP_DIRS": True}
    settings.TEMPLATES = [pages, django]


def outcome(response: HttpResponseBase) -> str:
    """What came of it: a status, or that one is led to where people sign in."""
    if response.status_code == 302 and SIGN_IN.match(response.headers["Location"]):
        return "sign in"
    return str(response.status_code)


def sent(route: str, method: str) -> dict[str, Any]:
    if method != "POST" or route not in BODIES:
        return {}
    return {"data": json.dumps(BODIES[route]), "content_type": "application/json"}


def test_every_route_has_a_line_and_every_line_a_route() -> None:
    known, told = set(routes()), set(lines())
    assert {"without a line": sorted(known - told), "without a route": sorted(told - known)} == {
        "without a line": [],
        "without a route": [],
    }
    assert len(known) > 350


@pytest.mark.usefixtures("silence", "raw_templates")
def test_every_route_lets_in_those_of_the_table_and_nobody_else(site: Site) -> None:
    door = Door(csrf=False)
    wrong = []
    for route, line in lines().items():
        path = filled(route, site.values)
        tokens = [f"token:{scope}" for scope in site.tokens]
        askers = (*PEOPLE, *(tokens if route.startswith("api/v1/") else ()))
        for method in METHODS:
            for asker in askers:
                request = site.ask(method, path, who=asker, **sent(route, method))
                found = outcome(door.answer(request))
                if found not in line.expected(method, asker):
                    right = "/".join(sorted(line.expected(method, asker)))
                    wrong.append(f"{method} {route} by {asker}: {found}, not {right}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("silence", "raw_templates")
def test_cookies_alone_change_nothing(site: Site) -> None:
    """Another site can make a browser send its cookies, but not the token of our forms."""
    door = Door(csrf=True)
    let_in = []
    for route in lines():
        path = filled(route, site.values)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            headers = {"Sec-Fetch-Site": "cross-site"}  # as every browser of today says
            request = site.ask(
                method, path, who="superuser", headers=headers, **sent(route, method)
            )
            status = door.answer(request).status_code
            if status not in {401, 403, 404, 405}:
                let_in.append(f"{method} {route}: {status}")
    assert let_in == []


@pytest.mark.usefixtures("silence")
def test_methods_that_nobody_has_heard_of_are_refused(db: None) -> None:
    door = Door(csrf=False)
    for method in ("TRACE", "CONNECT", "PROPFIND", "TRACK", "GETS"):
        for path in ("/", "/admin/", "/accounts/login/", "/releases/download/demo/x", "/api/v1/"):
            request = RequestFactory().generic(method, path)
            assert door.answer(request).status_code == 405, f"{method} {path}"
