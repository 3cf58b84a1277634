"""The pages in a real Chromium: copying, policy, colours, narrow and wide, light and dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Request, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from builds.choices import Role, System
from builds.models import Channel, Release
from builds.tests.factories import (
    BuildFactory,
    ChannelFactory,
    CheckFactory,
    ReleaseFactory,
    UserFactory,
)
from builds.tests.webs import MakeWeb, Web

CHROMIUM = shutil.which("chromium") or "chromium is not installed; run make test"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NARROW, WIDE = 360, 1280
LEAST_CONTRAST = 4.5

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Browser:
    """One page, and what it complained of."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a path of the portal."""
        self.page.goto(f"{self.url}{path}")
        return self.page


@contextmanager
def browser(
    server: LiveServer | Web, *, width: int = WIDE, scheme: str = "light", scripts: bool = True
) -> Iterator[Browser]:
    """A Chromium; rows are made before and read after it, for its loop forbids both meanwhile."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=scripts,
            permissions=["clipboard-read", "clipboard-write"],
        )
        page = context.new_page()
        found = Browser(page, server.url)
        page.on("console", lambda message: found.complaints.append(message.text))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("requestfailed", lambda request: found.complaints.extend(_failure(request)))
        try:
            yield found
        finally:
            chromium.close()


def _failure(request: Request) -> list[str]:
    """A stream of events, or a page, that ends because another page was gone to is no failure."""
    is_left = request.failure == "net::ERR_ABORTED"
    return [] if is_left else [f"{request.url}: {request.failure}"]


@pytest.fixture
def many_states(database_url: str) -> list[str]:
    """Rows in all states that there are; the paths of their pages."""
    now = timezone.now()
    stable = ChannelFactory(name="nixos-26.05", is_default=True, end_of_life="2020-01-01")
    unstable = ChannelFactory(name="nixos-unstable", title="NixOS unstable")
    ChannelFactory(name="nixos-25.11")
    published = ReleaseFactory(
        channel=stable,
        published=True,
        sandboxed=False,
        at=now - timedelta(days=9),
        sizes={Role.TARBALL: 431_000_000},
    )
    CheckFactory(release=published, name="boot-kvm", failed=True)
    withdrawn = ReleaseFactory(channel=unstable, withdrawn=True, at=now - timedelta(days=2))
    failed = ReleaseFactory(
        channel=unstable, failed=True, at=now - timedelta(hours=2), excerpt="x" * 300
    )
    skipped = ReleaseFactory(
        channel=stable, system=System.AARCH64, skipped=True, at=now - timedelta(hours=5)
    )
    draft = ReleaseFactory(channel=unstable, pinned=True, queue=False)
    log = ["a line", "<script>document.title = 'stolen'</script>", "y" * 500]
    builds = [
        BuildFactory(release=draft, variant="iso", running=True, log=log),
        BuildFactory(release=draft, variant="kexec-installer"),
        BuildFactory(release=draft, variant="netboot", lost=True),
        BuildFactory(release=draft, variant="netboot", attempt=2, failed=True, log=log),
        BuildFactory(release=draft, variant="kexec-bundle", cancelled=True),
        published.builds.first(),
    ]
    return [
        "/",
        "/?method=ipxe",
        "/?channel=nixos-25.11",
        "/builds/",
        "/status/",
        "/channels/nixos-26.05/",
        "/channels/nixos-unstable/",
        "/channels/nixos-26.05/x86_64-linux/",
        *(each.get_absolute_url() for each in (published, withdrawn, failed, skipped, draft)),
        *(build.get_absolute_url() for build in builds),
    ]


def test_copy_puts_the_command_on_the_clipboard_and_says_so(live_server: LiveServer) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(live_server) as chromium:
        page = chromium.open("/")
        button = page.locator("#command button[data-copy]")
        assert button.locator("[data-label]").get_attribute("aria-live") == "polite"
        button.focus()
        page.keyboard.press("Enter")
        expect(button.locator("[data-label]")).to_have_text("Copied")
        command = page.locator("#command-text").inner_text().strip()
        assert page.evaluate("navigator.clipboard.readText()") == command
        assert command.startswith("curl -fLO http://")
        expect(button.locator("[data-label]")).to_have_text("Copy")
        assert chromium.complaints == []


def test_without_javascript_there_is_no_button_and_the_tabs_work(live_server: LiveServer) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with browser(live_server, scripts=False) as chromium:
        page = chromium.open("/")
        assert not page.locator(".copy").first.is_visible()
        page.get_by_role("link", name="iPXE", exact=True).click()
        assert "method=ipxe" in page.url
        assert page.locator("#command-text").inner_text().startswith("chain --autofree")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_pages_fit_can_be_read_and_keep_to_the_policy(
    make_web: MakeWeb, many_states: list[str], width: int, scheme: str
) -> None:
    with browser(make_web(), width=width, scheme=scheme) as chromium:
        for path in many_states:
            page = chromium.open(path)
            page.evaluate(
                "for (const each of document.querySelectorAll('details')) each.open = true"
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate(FAINT, LEAST_CONTRAST) == [], path
            assert "stolen" not in page.title()
        assert chromium.complaints == []


def test_staff_rebuild_from_the_dashboard(live_server: LiveServer) -> None:
    channel: Channel = ChannelFactory(name="demo", systems=[System.X86_64])
    user = UserFactory(admin=True)
    user.set_password("a long password")
    user.save()
    with browser(live_server) as chromium:
        page = chromium.open("/admin/login/?next=/")
        page.fill("#id_login", user.username)
        page.fill("#id_password", "a long password")
        page.press("#id_password", "Enter")
        page.get_by_role("link", name="Rebuild now").click()
        page.get_by_role("button", name="Build it now").click()
        page.get_by_text("demo is being built for x86_64-linux.").wait_for()
        assert re.search(r"/releases/drafts/\d+/$", page.url)
        assert chromium.complaints == []
    assert Release.objects.get().channel == channel


def test_paper_shows_what_the_screen_folds(live_server: LiveServer) -> None:
    release = ReleaseFactory(published=True)
    digest = release.artifacts.get(role=Role.TARBALL).sha256
    with browser(live_server) as chromium:
        page = chromium.open(release.get_absolute_url())
        full = page.locator(f"code:text-is('{digest}')")
        assert not full.is_visible()
        page.emulate_media(media="print")
        assert full.is_visible()
        assert not page.get_by_role("navigation", name="Portal").get_by_text("Builds").is_visible()


# Every piece of text that can be seen, and the ground that lies behind it.
FAINT = """least => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const pixel = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = pixel(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const both = [light(pixel(getComputedStyle(element).color)), light(ground(element))];
    both.sort((one, other) => other - one);
    const contrast = (both[0] + 0.05) / (both[1] + 0.05);
    if (contrast < least) {
      faint.add(`${contrast.toFixed(2)} ${element.className}: ${element.textContent.slice(0, 40)}`);
    }
  }
  return [...faint];
}"""
