"""Passkeys in a real Chromium with a virtual authenticator, under the strict policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from builds.tests.accounts.conftest import PASSWORD, person
from builds.tests.factories import ChannelFactory
from builds.tests.web.test_browser import Browser, browser

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("quick_hashes"),
]

KEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@contextmanager
def with_key(server: LiveServer) -> Iterator[Browser]:
    """A browser whose machine has an authenticator that says yes."""
    with browser(server) as chromium:
        session = chromium.page.context.new_cdp_session(chromium.page)
        session.send("WebAuthn.enable")
        session.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
        yield chromium


def sign_in(page: Page) -> None:
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign In", exact=True).click()


def add_key(page: Page) -> None:
    """Add a passkey on the page of accounts, with the password once more."""
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add", exact=True).click()


def test_passkey_is_added_and_opens_without_password_and_as_second_factor(
    live_server: LiveServer,
) -> None:
    person(is_staff=True, is_superuser=True)
    with with_key(live_server) as chromium:
        page = chromium.open("/accounts/login/?next=/accounts/2fa/webauthn/add/")
        sign_in(page)
        add_key(page)
        page.wait_for_url(re.compile("recovery-codes|2fa/webauthn/$"))

        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("link", name="Sign in").wait_for()
        page = chromium.open("/accounts/login/?next=/status/")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url("**/status/")
        expect(page.locator(".who-name")).to_contain_text("ann")

        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("link", name="Sign in").wait_for()
        page = chromium.open("/accounts/login/?next=/status/")
        sign_in(page)
        page.wait_for_url("**/2fa/authenticate/")
        page.get_by_role("button", name="Use a security key").click()
        page.wait_for_url("**/status/")
        assert chromium.complaints == []
    assert set(Authenticator.objects.values_list("type", flat=True)) == {
        "webauthn",
        "recovery_codes",
    }


def test_passkey_that_can_not_be_used_says_why(live_server: LiveServer) -> None:
    person()
    with with_key(live_server) as chromium:
        chromium.url = live_server.url.replace("localhost", "127.0.0.1")
        page = chromium.open("/accounts/login/")
        page.get_by_role("button", name="Sign in with a passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("Passkeys work by HTTPS under a name")


def test_without_javascript_password_signs_in_and_an_act_is_confirmed(
    live_server: LiveServer,
) -> None:
    person(is_staff=True, is_superuser=True)
    ChannelFactory(name="demo", systems=["x86_64-linux"])
    with browser(live_server, scripts=False) as chromium:
        page = chromium.open("/channels/demo/")
        page.get_by_role("link", name="Sign in").click()
        assert not page.get_by_role("button", name="passkey").is_visible()
        sign_in(page)
        page.wait_for_url("**/channels/demo/")
        page.get_by_role("link", name="Build x86_64-linux now").click()
        page.get_by_role("button", name="Build it now").click()
        page.get_by_text("demo is being built for x86_64-linux.").wait_for()
