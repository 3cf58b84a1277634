"""The page of numbers: drawings that are good XML, tables that say the same, few queries."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from builds.choices import Role, System, Variant, Verdict
from builds.models import Artifact, Build, Channel, Check, DownloadCount, Release
from builds.tally import Count
from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.web.reading import text_of
from builds.tests.web.test_browser import NARROW, WIDE, browser
from builds.web.chart import Point, Series, draw, scale

SVG = "{http://www.w3.org/2000/svg}"
MIB = 1024**2


def _year(name: str = "demo", releases: int = 3) -> Channel:
    """A channel with a release a week, growing, and downloads of its initrds."""
    channel: Channel = ChannelFactory(name=name, is_default=name == "demo")
    now = timezone.now()
    for week in range(releases):
        at = now - timedelta(weeks=releases - week)
        sizes = {Role.INITRD: (300 + 10 * week) * MIB}
        release = ReleaseFactory(channel=channel, published=True, at=at, sizes=sizes)
        initrd = release.artifacts.get(role=Role.INITRD)
        kernel = release.artifacts.get(role=Role.KERNEL)
        counts = Count(7 + week, 1000)
        DownloadCount.objects.add(
            {(initrd.pk, at.date()): counts, (kernel.pk, at.date()): Count(500, 1)}
        )
    return channel


def _drawings(response: Any) -> list[ET.Element]:
    found = re.findall(r"<svg.*?</svg>", response.content.decode(), re.DOTALL)
    return [ET.fromstring(text) for text in found]


@pytest.mark.django_db
def test_drawings_are_xml_with_title_and_description_and_no_style(client: Client) -> None:
    _year()
    response = client.get("/stats/")
    drawings = [each for each in _drawings(response) if each.get("role") == "img"]
    assert len(drawings) == 4
    for drawing in drawings:
        assert drawing.findtext(f"{SVG}title")
        assert drawing.findtext(f"{SVG}desc")
        assert not [each for each in drawing.iter() if "style" in each.attrib]
        assert drawing.findall(f".//{SVG}circle")
    assert " style=" not in response.content.decode()


@pytest.mark.django_db
def test_table_says_the_same_numbers_as_the_drawing(client: Client) -> None:
    _year()
    text = text_of(client.get("/stats/"))
    for said in ("300 MiB", "310 MiB", "320 MiB", "15:00", "8.2 s"):
        assert said in text, said
    # Of a netboot the initrd is counted, the kernel is not.
    assert re.search(r"\b24 downloads since", text)


@pytest.mark.django_db
def test_filters_stand_in_the_url_and_nonsense_gives_the_usual(client: Client) -> None:
    _year("demo")
    _year("two", releases=1)
    assert re.search(
        r"\b24 downloads", text_of(client.get("/stats/?channel=demo&system=nonsense&weeks=x"))
    )
    assert re.search(r"\b7 downloads", text_of(client.get("/stats/?channel=two")))
    assert re.search(
        r"\b0 downloads", text_of(client.get("/stats/?channel=demo&system=aarch64-linux"))
    )
    assert re.search(
        r"\b0 downloads", text_of(client.get("/stats/?channel=demo&variant=kexec-installer"))
    )
    only = text_of(client.get("/stats/?channel=demo&variant=kexec-installer"))
    assert "initrd-x86_64-linux" not in only


@pytest.mark.django_db
def test_page_without_numbers_says_so(client: Client) -> None:
    assert "No channel is set up" in text_of(client.get("/stats/"))
    ChannelFactory()
    assert "There are no numbers" in text_of(client.get("/stats/"))


@pytest.mark.django_db
def test_release_page_shows_how_often_each_file_was_taken(client: Client) -> None:
    channel = _year(releases=1)
    release = Release.objects.get(channel=channel)
    assert "500" in text_of(client.get(release.get_absolute_url()))


def test_axis_has_round_steps_that_hold_the_most() -> None:
    for most in (0, 0.3, 1, 7, 99, 100, 101, 312_000_000):
        top, step = scale(most)
        assert top >= most
        assert top / step == pytest.approx(round(top / step))
        assert top / step <= 5


def test_single_number_is_drawn_within_the_frame() -> None:
    at = timezone.now()
    chart = draw("x", "X", "Week", [Series("a", (Point(at, 5, "now"),))], str)
    [(x, y)] = chart.lines[0].dots
    assert chart.left <= x <= chart.right
    assert 0 <= y <= chart.floor


def _many(channels: int, releases: int) -> None:
    now = timezone.now()
    rows = [
        Release(
            channel=channel,
            system=system,
            status="published",
            trigger="schedule",
            version=f"1.{number}",
            sequence=number + 1,
            published_at=now - timedelta(weeks=number),
            finished_at=now,
        )
        for channel in (ChannelFactory(variants=()) for _ in range(channels))
        for system in System
        for number in range(releases)
    ]
    made = Release.objects.bulk_create(rows, batch_size=1000)
    Build.objects.bulk_create(
        [
            Build(
                release=each, variant=variant, status="succeeded", started_at=now, finished_at=now
            )
            for each in made
            for variant in (Variant.NETBOOT, Variant.KEXEC_INSTALLER)
        ],
        batch_size=1000,
    )
    Check.objects.bulk_create(
        [Check(release=each, name="boot", verdict=Verdict.PASSED, seconds=8) for each in made],
        batch_size=1000,
    )
    artifacts = Artifact.objects.bulk_create(
        [
            Artifact(
                release=each,
                variant=Variant.NETBOOT,
                role=role,
                name=f"{role}-{each.system}",
                size=MIB,
                sha256="0" * 64,
            )
            for each in made
            for role in (Role.KERNEL, Role.INITRD)
        ],
        batch_size=1000,
    )
    DownloadCount.objects.add({(each.pk, now.date()): Count(1, 1) for each in artifacts})


@pytest.mark.django_db
def test_page_is_quick_with_twenty_channels_of_five_hundred_releases(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    _many(20, 500)
    client.get("/stats/")
    with django_assert_max_num_queries(6):
        before = time.process_time()
        response = client.get("/stats/?weeks=104")
        took = time.process_time() - before
    assert response.status_code == 200
    assert took < 2, "seconds of CPU"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_drawings_keep_to_the_policy_and_fit(live_server: LiveServer, scheme: str) -> None:
    _year()
    with browser(live_server, scheme=scheme) as chromium:
        page = chromium.open("/stats/")
        for width in (NARROW, WIDE):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        line = page.locator(".chart-line path").first
        colour = line.evaluate("each => getComputedStyle(each).stroke")
        assert colour == {"light": "rgb(58, 98, 176)", "dark": "rgb(126, 186, 228)"}[scheme]
        page.locator("summary").first.click()
        assert page.locator("details table").first.is_visible()
        assert chromium.complaints == []
