"""Signing in with a real OpenID Connect issuer, a process of its own, through a real browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from builds.models import AuditEntry
from builds.tests.accounts.conftest import PASSWORD, person
from builds.tests.ports import free_port
from builds.tests.web.test_browser import browser
from builds.tests.webs import MakeWeb, Web
from portal.env import BadSetting, Environment

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [
    {"sub": "1", "preferred_username": "olga", "email": "o@x.org", "groups": ["ops", "other"]},
    {"sub": "2", "preferred_username": "nils", "email": "n@x.org", "groups": ["other"]},
    {"sub": "3", "preferred_username": "ann", "email": "a@x.org", "groups": ["admins", "ops"]},
]


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[str]:
    """The address of the issuer, who knows these people."""
    port = free_port()
    people = [word for each in PEOPLE for word in ("--user-claims", json.dumps(each))]
    with (tmp_path / "issuer.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(port), *people],
            env=os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"},
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/.well-known/openid-configuration", process)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the issuer fell"
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the issuer did not start")


@pytest.fixture
def web(make_web: MakeWeb, issuer: str, redis_url: str) -> Web:
    """A portal that trusts the issuer, set up by the environment alone."""
    return make_web(
        REDIS_URL=redis_url,
        OIDC_ISSUER=issuer,
        OIDC_CLIENT_ID="portal",
        OIDC_CLIENT_SECRET="hush",
        OIDC_NAME="Example login",
        OIDC_ROLES="admins=admin, ops=operator",
    )


def come_as(page: Page, sub: str, button: str = "Sign in with Example login") -> None:
    page.get_by_role("button", name=button).click()
    page.get_by_role("button", name=sub, exact=True).first.click()


def test_groups_of_the_issuer_become_roles_and_strangers_stay_out(web: Web) -> None:
    with browser(web) as chromium:
        page = chromium.open("/accounts/login/?next=/status/")
        come_as(page, "1")
        page.wait_for_url("**/status/")
        expect(page.locator(".who-name")).to_contain_text("olga operator")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("link", name="Sign in").wait_for()

        page = chromium.open("/accounts/login/")
        come_as(page, "2")
        page.get_by_text("none of your groups there has a role").wait_for()
    assert [user.username for user in User.objects.all()] == ["olga"]
    assert not User.objects.get().has_usable_password()
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.what, entry.reason) == (
        "sign-in by Example login",
        "olga",
        "is operator now",
    )


def test_account_is_connected_by_its_owner_only_and_gets_the_role_at_the_next_sign_in(
    make_web: MakeWeb, issuer: str, redis_url: str, database_url: str
) -> None:
    person(email="a@x.org")
    settings = {
        "REDIS_URL": redis_url,
        "OIDC_ISSUER": issuer,
        "OIDC_CLIENT_ID": "portal",
        "OIDC_CLIENT_SECRET": "hush",
        "OIDC_NAME": "Example login",
    }
    with browser(make_web(**settings)) as chromium:
        page = chromium.open("/accounts/login/")
        come_as(page, "3")
        page.get_by_text("this portal makes no accounts by itself").wait_for()
        page = chromium.open("/accounts/login/?next=/accounts/3rdparty/")
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign In", exact=True).click()
        come_as(page, "3", "Connect Example login")
        page.wait_for_url("**/accounts/3rdparty/")
    with browser(make_web(**settings, OIDC_ROLES="admins=admin,ops=operator")) as chromium:
        page = chromium.open("/accounts/login/")
        come_as(page, "3")
        expect(page.locator(".who-name")).to_contain_text("ann admin")
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OIDC_ISSUER", "http://login.example.org", "OIDC_ISSUER: wants https://host"),
        ("OIDC_ISSUER", "login.example.org", "OIDC_ISSUER: wants https://host"),
        ("OIDC_CLIENT_ID", "", "OIDC_CLIENT_ID: is wanted"),
        ("OIDC_CLIENT_SECRET", "", "OIDC_CLIENT_SECRET: is wanted"),
        ("OIDC_ROLES", "admins=root", "OIDC_ROLES: wants group=role"),
        ("OIDC_ROLES", "admin", "OIDC_ROLES: wants group=role"),
    ],
)
def test_wrong_setting_stops_the_start_with_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    right = {"ISSUER": "https://login.example.org", "CLIENT_ID": "a", "CLIENT_SECRET": "b"}
    for each, text in right.items():
        monkeypatch.setenv(f"OIDC_{each}", text)
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=said):
        Environment().oidc()
