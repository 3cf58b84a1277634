"""The Atom feeds: what is in them, and that they are Atom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import feedparser
import pytest
from django.test import Client

from builds.tests.factories import NOW, ChannelFactory, ReleaseFactory

pytestmark = pytest.mark.django_db

ATOM = "{http://www.w3.org/2005/Atom}"


def parsed(response: Any) -> ET.Element:
    assert response.status_code == 200
    assert response["Content-Type"] == "application/atom+xml; charset=utf-8"
    return ET.fromstring(response.content)


def text(element: ET.Element, name: str) -> str:
    found = element.findtext(f"{ATOM}{name}")
    assert found is not None, name
    return found


def test_feed_has_what_atom_demands(client: Client) -> None:
    ReleaseFactory(published=True)
    feed = parsed(client.get("/feed.atom"))
    assert feed.tag == f"{ATOM}feed"
    assert text(feed, "title") == "NixOS images"
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links == {"alternate": "http://testserver/", "self": "http://testserver/feed.atom"}
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    for element in (feed, *feed.findall(f"{ATOM}entry")):
        assert text(element, "id").startswith("http://testserver/")
        assert text(element, "updated")
    assert len(feed.findall(f"{ATOM}entry")) == 1


def test_feed_names_the_newest_first_and_says_what_was_withdrawn(client: Client) -> None:
    channel = ChannelFactory(name="demo")
    old = ReleaseFactory(channel=channel, withdrawn=True, at=NOW - timedelta(days=9), reason="bad")
    new = ReleaseFactory(channel=channel, published=True, at=NOW - timedelta(days=2))
    ReleaseFactory(channel=channel, failed=True)
    entries = parsed(client.get("/channels/demo/feed.atom")).findall(f"{ATOM}entry")
    assert [text(entry, "title") for entry in entries] == [
        f"demo {new.version} for x86_64-linux",
        f"demo {old.version} for x86_64-linux, withdrawn",
    ]
    assert "It was withdrawn: bad" in text(entries[1], "summary")


def test_feed_of_a_channel_leaves_others_out_and_of_none_is_not_there(client: Client) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    ReleaseFactory(channel__name="other", published=True)
    assert len(parsed(client.get("/channels/demo/feed.atom")).findall(f"{ATOM}entry")) == 1
    assert len(parsed(client.get("/feed.atom")).findall(f"{ATOM}entry")) == 2
    assert client.get("/channels/nowhere/feed.atom").status_code == 404


def test_unchanged_feed_is_not_sent_again(client: Client) -> None:
    ReleaseFactory(published=True)
    first = client.get("/feed.atom")
    again = client.get("/feed.atom", headers={"If-Modified-Since": first["Last-Modified"]})
    assert again.status_code == 304


def test_empty_feed_is_a_feed(client: Client) -> None:
    assert parsed(client.get("/feed.atom")).findall(f"{ATOM}entry") == []


def test_feed_reader_understands_it_all_and_finds_the_files(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", published=True)
    withdrawn = ReleaseFactory(channel=release.channel, withdrawn=True, at=NOW - timedelta(days=9))
    feed = feedparser.parse(client.get("/channels/demo/feed.atom").content)
    assert (feed.bozo, feed.version) == (False, "atom10")
    assert feed.feed.title == "NixOS images: demo"
    new, old = feed.entries
    assert new.id == f"http://testserver{release.get_absolute_url()}"
    assert {tag.term for tag in new.tags} == {"demo", "x86_64-linux"}
    artifact = release.artifacts.get(name="initrd-x86_64-linux")
    files = {each.href: each.length for each in new.enclosures}
    assert files[f"http://testserver/{artifact.key}"] == str(artifact.size)
    assert old.title == f"demo {withdrawn.version} for x86_64-linux, withdrawn"
    assert old.enclosures == []


def test_feed_of_no_channel_names_those_that_are(client: Client) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    assert client.get("/channels/nowhere/feed.atom").content == (
        b"There is no channel nowhere. Channels: demo.\n"
    )


def test_feed_is_cached_by_its_etag_and_open_to_scripts(client: Client) -> None:
    ReleaseFactory(published=True)
    first = client.get("/feed.atom")
    again = client.get("/feed.atom", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, first["Access-Control-Allow-Origin"]) == (304, "*")
    assert first["Content-Length"] == str(len(first.content))
