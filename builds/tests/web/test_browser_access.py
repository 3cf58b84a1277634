"""Every page for everybody: axe in both themes, by keyboard, without JavaScript, narrow."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page

from builds.tests.factories import ReleaseFactory
from builds.tests.shown.rows import rows_in_every_state
from builds.tests.web.test_browser import NARROW, WIDE, browser
from builds.tests.webs import MakeWeb

pytestmark = pytest.mark.django_db(transaction=True)

AXE = settings.BASE_DIR / "deploy" / "node" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES_OF_DETAILS = "for (const each of document.querySelectorAll('details')) each.open = true"


@pytest.fixture
def paths(database_url: str) -> dict[str, str]:
    found = rows_in_every_state(timezone.now())
    del found["not-found"]  # these servers run with DEBUG, where Django shows a page of its own
    return found


def faults(page: Page) -> list[str]:
    """What axe finds on a page, a line each."""
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", RULES
    )
    return [
        f"{rule['id']}: {node['html'][:160]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", NARROW)])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    make_web: MakeWeb, paths: dict[str, str], scheme: str, width: int
) -> None:
    found = {}
    source = AXE.read_text()
    with browser(make_web(), scheme=scheme, width=width) as chromium:
        for path in paths.values():
            page = chromium.open(path)
            page.evaluate(PAGES_OF_DETAILS)
            page.evaluate(source)  # as a debugger would: the policy forbids scripts from elsewhere
            found[path] = faults(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        refused = [said for said in chromium.complaints if "404" not in said]
        assert refused == []
    assert {path: said for path, said in found.items() if said} == {}


def test_axe_would_find_a_fault(make_web: MakeWeb, database_url: str) -> None:
    with browser(make_web()) as chromium:
        page = chromium.open("/status/")
        page.evaluate(AXE.read_text())
        page.evaluate("document.querySelector('h1').outerHTML = '<img src=\"/favicon.svg\">'")
        assert any(fault.startswith("image-alt") for fault in faults(page))


def test_dashboard_is_used_by_keyboard_alone(make_web: MakeWeb, database_url: str) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(make_web()) as chromium:
        page = chromium.open("/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        reached = []
        for _ in range(12):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(WHERE))
            assert page.evaluate(HAS_RING), reached[-1]
        assert reached[:3] == ["Kexec", "curl | sh", "iPXE"]
        assert any(where.startswith("Copy") for where in reached)
        page.get_by_role("link", name="iPXE", exact=True).focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/?*method=ipxe*")


def test_theme_is_switched_at_once_remembered_and_given_back(
    make_web: MakeWeb, database_url: str
) -> None:
    with browser(make_web(), scheme="light") as chromium:
        page = chromium.open("/status/")
        light = page.evaluate(GROUND)
        switch = page.get_by_role("button", name="Light or dark")
        switch.click()
        dark = page.evaluate(GROUND)
        assert dark != light
        chromium.open("/builds/")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.evaluate(GROUND) == dark
        page.get_by_role("button", name="Light or dark").click()
        assert page.evaluate(GROUND) == light
        assert page.context.cookies() == [], "what the system has anyway need not be remembered"


def test_without_javascript_theme_and_language_are_forms(
    make_web: MakeWeb, database_url: str
) -> None:
    with browser(make_web(), scripts=False) as chromium:
        page = chromium.open("/status/")
        page.get_by_role("button", name="Light or dark").click()
        assert page.url.endswith("/status/")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.get_by_role("button", name="Deutsch").click()
        assert page.locator("html").get_attribute("lang") == "de"
        assert page.get_by_role("heading", name="Warteschlangen").is_visible()
        page.get_by_role("button", name="English").click()
        assert page.get_by_role("heading", name="Queues").is_visible()


def test_without_javascript_every_page_says_what_it_has_to_say(
    make_web: MakeWeb, paths: dict[str, str]
) -> None:
    web = make_web()
    with browser(web) as chromium:
        full = {path: headings(chromium.open(path)) for path in paths.values()}
    with browser(web, scripts=False) as chromium:
        plain = {path: headings(chromium.open(path)) for path in paths.values()}
    assert plain == full


def test_chosen_command_is_remembered_for_the_next_visit(
    make_web: MakeWeb, database_url: str
) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(make_web()) as chromium:
        page = chromium.open("/")
        assert page.locator("#command-text").inner_text().startswith("curl -fLO")
        page.get_by_role("link", name="iPXE", exact=True).click()
        assert "method=ipxe" in page.url
        chromium.open("/")
        assert page.locator("#command-text").inner_text().startswith("chain --autofree")


def headings(page: Page) -> list[str]:
    return page.locator("h1:visible, h2:visible").all_inner_texts()


WHERE = "document.activeElement.innerText || document.activeElement.getAttribute('aria-label')"
HAS_RING = "getComputedStyle(document.activeElement).outlineStyle === 'solid'"
GROUND = "getComputedStyle(document.documentElement).backgroundColor"
