"""The pages of tokens in a real Chromium: for everybody, and without JavaScript."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from builds.models import Actor, Token
from builds.tests.tokens.conftest import demo, new_token, owner
from builds.tests.tokens.test_pages import signed_in
from builds.tests.web.test_browser import NARROW, WIDE, Browser, browser
from builds.tests.web.test_browser_access import AXE, faults
from builds.tests.webs import MakeWeb, Web

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session(database_url: str) -> str:
    """The session of somebody with tokens in every state."""
    demo()
    user = owner()
    used, _ = new_token(of=user, name="nightly builds of the demo", channels=["demo"])
    used.note_use(at=timezone.now() - timedelta(hours=3))
    new_token(of=user, name="old", days=-1)
    gone, _ = new_token(of=user, name="gone")
    gone.revoke(by=Actor("test"), at=timezone.now())
    return signed_in(user).cookies["sessionid"].value


def web(make_web: MakeWeb) -> Web:
    return make_web(SECRET_KEY=settings.SECRET_KEY)


def sign_in(chromium: Browser, session: str) -> None:
    cookie = {"name": "sessionid", "value": session, "url": chromium.url}
    chromium.page.context.add_cookies([cookie])  # type: ignore[list-item]


@pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", NARROW)])
def test_pages_are_for_everybody(make_web: MakeWeb, session: str, scheme: str, width: int) -> None:
    revoke = f"/accounts/tokens/{Token.objects.get(name='old').pk}/revoke"
    source = AXE.read_text()
    with browser(web(make_web), scheme=scheme, width=width) as chromium:
        sign_in(chromium, session)
        for path in ("/accounts/tokens/", revoke, "/accounts/tokens/new/", ""):
            page = chromium.open(path) if path else chromium.page
            if not path:  # the form, filled in: what was made
                page.get_by_label("Name").fill("ci")
                page.get_by_label("trigger releases").check()
                page.get_by_role("button", name="Make it").click()
                assert page.locator("#token-text").inner_text().startswith("nip_")
            page.evaluate(source)
            assert faults(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert chromium.complaints == []


def test_token_is_made_seen_and_revoked_without_javascript(make_web: MakeWeb, session: str) -> None:
    with browser(web(make_web), scripts=False) as chromium:
        sign_in(chromium, session)
        page = chromium.open("/accounts/")
        page.get_by_role("link", name="API tokens").click()
        page.get_by_role("link", name="Make a token").click()
        page.get_by_label("Name").fill("ci")
        page.get_by_label("cancel builds").check()
        page.get_by_label("demo").check()
        page.get_by_role("button", name="Make it").click()
        text = page.locator("#token-text").inner_text()
        assert re.fullmatch(r"nip_[0-9A-Za-z]{49}", text)
        page.get_by_role("link", name="I have copied it").click()
        assert text not in page.content()
        row = page.get_by_role("row", name=re.compile(r"^ci "))
        assert "never" in row.inner_text()
        row.get_by_role("link", name="Revoke ci").click()
        page.get_by_role("button", name="Revoke").click()
        assert page.get_by_text("ci is revoked.").is_visible()
    assert Token.objects.live(timezone.now()).filter(name="ci").count() == 0


def test_made_token_is_copied_by_its_button(make_web: MakeWeb, session: str) -> None:
    with browser(web(make_web)) as chromium:
        sign_in(chromium, session)
        page = chromium.open("/accounts/tokens/new/")
        page.get_by_label("Name").fill("ci")
        page.get_by_label("cancel builds").check()
        page.get_by_role("button", name="Make it").click()
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("button", name="Copied API token").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.locator("#token-text").inner_text()
