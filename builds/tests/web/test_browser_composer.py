"""The composer in a real Chromium: typing, links, copying, without JavaScript, narrow and wide."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer

from builds.tests.boot.examples import key
from builds.tests.factories import ReleaseFactory
from builds.tests.web.test_browser import FAINT, LEAST_CONTRAST, NARROW, WIDE, browser

pytestmark = pytest.mark.django_db(transaction=True)


def test_typing_changes_the_result_its_link_and_what_is_copied(live_server: LiveServer) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(live_server) as chromium:
        page = chromium.open("/boot/")
        command = page.locator("#composed-main")
        page.get_by_label("Kernel parameters").press_sequentially("quiet")
        expect(command).to_contain_text("--append quiet")
        page.get_by_label("ssh public keys").fill(key())
        expect(command).to_contain_text(key())
        page.get_by_label("Hostname").fill("a_b")
        expect(page.locator("#error-hostname")).to_contain_text("is no hostname")
        expect(page.get_by_label("Hostname")).to_have_attribute("aria-invalid", "true")
        expect(command).to_have_count(0)
        page.get_by_label("Hostname").fill("rescue")
        expect(page.locator("#error-hostname")).to_be_hidden()
        expect(page.get_by_label("Hostname")).not_to_have_attribute("aria-invalid", "true")
        expect(command).to_contain_text("systemd.hostname=rescue")
        page.locator("#composed button[data-copy=composed-main]").click()
        expect(page.locator("#composed [data-label]").first).to_have_text("Copied")
        shown = command.inner_text().strip()
        assert page.evaluate("navigator.clipboard.readText()") == shown
        # While it says so, what is typed still counts.
        page.get_by_label("Kernel parameters").fill("quiet debug")
        expect(command).to_contain_text("quiet debug")
        page.locator("#way-grub summary").click()
        page.get_by_label("Kernel parameters").fill("splash")
        expect(page.locator("#text-grub")).to_contain_text("splash")
        assert page.locator("#way-grub").get_attribute("open") is not None
        after = command.inner_text()
        page.goto(page.url)
        assert command.inner_text() == after
        expect(page.get_by_label("Hostname")).to_have_value("rescue")
        expect(page.get_by_label("ssh public keys")).to_have_value(key())
        assert chromium.complaints == []


def test_another_method_and_console_change_the_result(live_server: LiveServer) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(live_server) as chromium:
        page = chromium.open("/boot/")
        page.get_by_label("How").select_option("pixiecore")
        page.get_by_label("ttyS1,115200").check()
        command = page.locator("#composed-main")
        expect(command).to_contain_text("console=ttyS1,115200")
        assert command.inner_text().startswith("curl -fLO http://")
        expect(command).to_contain_text("&& pixiecore boot bzImage-x86_64-linux initrd-x86_64")
        assert "method=pixiecore" in page.url
        assert chromium.complaints == []


def test_without_javascript_the_form_works(live_server: LiveServer) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(live_server, scripts=False) as chromium:
        page = chromium.open("/boot/")
        page.get_by_label("How").select_option("ipxe")
        page.get_by_label("Hostname").fill("rescue")
        page.get_by_role("button", name="Compose").click()
        command = page.locator("#composed-main").inner_text()
        assert re.fullmatch(
            r"chain --autofree http://\S+/boot/demo/x86_64-linux/[\w-]+/netboot.ipxe", command
        )
        expect(page.get_by_label("Hostname")).to_have_value("rescue")
        page.get_by_label("Hostname").fill("a_b")
        page.keyboard.press("Enter")
        expect(page.locator("#error-hostname")).to_contain_text("is no hostname")
        assert chromium.complaints == []


def test_what_does_not_fit_into_an_address_is_said(live_server: LiveServer) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(live_server) as chromium:
        page = chromium.open("/boot/")
        page.get_by_label("ssh public keys").fill("\n".join([key()] * 4 + [key("rsa", 4096)] * 4))
        page.evaluate("document.getElementById('id-keys').removeAttribute('maxlength')")
        page.route("**/boot/?*", lambda route: route.fulfill(status=414))
        page.get_by_label("Hostname").fill("rescue")
        expect(page.locator("#composed")).to_contain_text("too long for one address")
        assert page.locator("#composed button").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_page_fits_and_can_be_read(live_server: LiveServer, width: int, scheme: str) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(live_server, width=width, scheme=scheme) as chromium:
        for query in ("?hostname=rescue&addresses=192.0.2.5/24", "?hostname=a_b&params=x;y"):
            page = chromium.open(f"/boot/{query}")
            page.evaluate(
                "document.querySelectorAll('details').forEach((each) => each.open = true)"
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(FAINT, LEAST_CONTRAST) == []
        assert chromium.complaints == []
