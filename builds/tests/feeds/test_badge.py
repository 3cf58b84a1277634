"""Badges: what they say, and that a browser draws it without anybody's font, style or script."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import sync_playwright

from builds.feeds.badge import BAD, GOOD, QUIET, Badge, badge_of, drawn
from builds.models import Channel, Damage
from builds.tests.factories import NOW, ChannelFactory, ReleaseFactory
from builds.tests.web.test_browser import CHROMIUM, FLAGS

SYSTEM = "x86_64-linux"
DAY = timedelta(days=1)


@pytest.fixture
def channel(db: None) -> Channel:
    made: Channel = ChannelFactory(name="demo")
    return made


def said(channel: Channel) -> tuple[str, str]:
    badge = badge_of(channel, SYSTEM, at=NOW)
    assert badge.label == "demo x86_64-linux"
    return badge.message, badge.colour


def test_fresh_release_is_green_with_version_and_age(channel: Channel) -> None:
    release = ReleaseFactory(channel=channel, published=True, version="1.0", at=NOW - 2 * DAY)
    assert said(channel) == ("1.0 · 2 days", GOOD)
    assert badge_of(channel, SYSTEM, at=release.published_at).message == "1.0 · today"
    assert badge_of(channel, SYSTEM, at=release.published_at + DAY).message == "1.0 · 1 day"


def test_stale_release_is_red(channel: Channel, settings: LazySettings) -> None:
    ReleaseFactory(channel=channel, published=True, version="1.0", at=NOW - 10 * DAY)
    settings.STALE_AFTER_DAYS = 10
    assert said(channel) == ("1.0 · 10 days", GOOD)
    settings.STALE_AFTER_DAYS = 9
    assert said(channel) == ("1.0 · 10 days · stale", BAD)


def test_old_release_whose_source_has_not_moved_is_not_stale(channel: Channel) -> None:
    ReleaseFactory(channel=channel, published=True, version="1.0", at=NOW - 30 * DAY)
    ReleaseFactory(channel=channel, skipped=True, at=NOW - DAY)
    assert said(channel) == ("1.0 · 30 days", GOOD)


def test_failure_since_is_red_until_the_next_success(channel: Channel) -> None:
    ReleaseFactory(channel=channel, published=True, version="1.0", at=NOW - 5 * DAY)
    ReleaseFactory(channel=channel, failed=True, version="2.0", at=NOW - 3 * DAY)
    assert said(channel) == ("1.0 · 5 days · last build failed", BAD)
    ReleaseFactory(channel=channel, published=True, version="3.0", at=NOW - DAY)
    assert said(channel) == ("3.0 · 1 day", GOOD)


def test_nothing_published_is_grey_or_red(channel: Channel) -> None:
    assert said(channel) == ("no release yet", QUIET)
    ReleaseFactory(channel=channel, failed=True, at=NOW - DAY)
    assert said(channel) == ("failed", BAD)


def test_damage_is_red_and_an_ended_channel_grey(channel: Channel) -> None:
    release = ReleaseFactory(channel=channel, published=True, version="1.0", at=NOW - 40 * DAY)
    channel.end_of_life = (NOW - DAY).date()
    assert said(channel) == ("1.0 · 40 days · end of life", QUIET)
    Damage.objects.note(release, "initrd-x86_64-linux", "It is missing.", at=NOW)
    assert said(channel) == ("1.0 · 40 days · damaged", BAD)


def test_svg_and_endpoint_say_the_same(client: Client, channel: Channel) -> None:
    ReleaseFactory(channel=channel, published=True, version="1.0", at=timezone.now() - 3 * DAY)
    svg = client.get("/badge/demo/x86_64-linux.svg")
    assert svg["Content-Type"] == "image/svg+xml"
    title = ET.fromstring(svg.content).findtext("{http://www.w3.org/2000/svg}title")
    assert title == "demo x86_64-linux: 1.0 · 3 days"
    record = client.get("/badge/demo/x86_64-linux.json").json()
    assert record["schemaVersion"] == 1
    assert f"{record['label']}: {record['message']}" == title
    assert (record["color"], record["isError"]) == ("brightgreen", False)
    assert (
        client.get(
            "/badge/demo/x86_64-linux.svg", headers={"If-None-Match": svg["ETag"]}
        ).status_code
        == 304
    )


def test_badge_that_is_not_there_names_those_that_are(client: Client, channel: Channel) -> None:
    for path, known in (
        ("/badge/nowhere/x86_64-linux.svg", "Channels: demo."),
        ("/badge/demo/riscv64-linux.svg", "Systems: x86_64-linux, aarch64-linux."),
    ):
        response = client.get(path)
        assert (response.status_code, known in response.content.decode()) == (404, True)


def test_chromium_draws_every_colour_and_all_text_fits() -> None:
    badges = [
        Badge("demo x86_64-linux", "1.0 · 2 days", GOOD),
        Badge("nixos-26.05 aarch64-linux", "26.05.20261120.b18a4b9 · 12 days · stale", BAD),
        Badge("<script>alert(1)</script> & co", "WWWWWWWWWW iiiiiiiiii", QUIET),
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page()
        for badge in badges:
            page.set_content(drawn(badge))
            texts = page.locator("text").all()
            assert [text.text_content() for text in texts] == [badge.label, badge.message]
            width = page.locator("svg").bounding_box()
            boxes = [text.bounding_box() for text in texts]
            assert width is not None
            label, message = boxes
            assert label is not None
            assert message is not None
            assert width["x"] < label["x"]
            assert label["x"] + label["width"] < message["x"]
            assert message["x"] + message["width"] < width["x"] + width["width"]
            assert page.locator("script, style, image, a").count() == 0
        chromium.close()
