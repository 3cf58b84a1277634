"""The composer's page: what the address asks for is what comes out, and what is wrong is named."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from builds.choices import System
from builds.tests.boot.examples import key
from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db


def ask(client: Client, **query: Any) -> Any:
    return client.get("/boot/", query)


@pytest.fixture
def published(db: None) -> None:
    channel = ChannelFactory(name="demo")
    for system in System:
        ReleaseFactory(channel=channel, system=system, published=True)


def test_without_channels_the_page_says_so(client: Client) -> None:
    assert client.get("/boot/").status_code == 200


def test_every_way_stands_on_the_page_with_a_button(client: Client, published: None) -> None:
    body = client.get("/boot/").content.decode()
    assert 'data-copy="composed-main"' in body
    for method in ("ipxe", "nixos_anywhere", "dnsmasq", "pixiecore", "pixiecore_api", "grub"):
        assert f'data-copy="text-{method}"' in body
    for method in ("grub_files", "cloud_init", "terraform", "qemu"):
        assert f'data-copy="text-{method}"' in body


def test_a_link_restores_the_fields(client: Client, published: None) -> None:
    response = ask(
        client,
        channel="demo",
        system="aarch64-linux",
        method="grub",
        keys=key(),
        hostname="rescue",
        consoles=["tty0", "ttyAMA0,115200"],
        params="quiet",
    )
    body = response.content.decode()
    assert f"\n{key()}</textarea>" in body.replace("&#x27;", "'")
    assert 'value="rescue"' in body
    assert '<option value="aarch64-linux" selected>' in body
    assert '<option value="grub" selected>' in body
    assert body.count("checked>") == 2
    assert "console=tty0 console=ttyAMA0,115200 quiet" in text_of(response)


def test_each_wrong_field_is_named_beside_itself_and_nothing_can_be_copied(
    client: Client, published: None
) -> None:
    response = ask(client, hostname="a_b", params="x;y", channel="nope", gateways="192.0.2.1/")
    body = response.content.decode()
    assert response.status_code == 200
    for name in ("hostname", "params", "channel", "gateways"):
        slot = body.split(f'id="error-{name}" data-composed>')[1].split("</p>")[0]
        assert slot, name
        assert f"error-{name}" in body.split(f'id="id-{name}"')[1].split(">")[0]
    assert body.count('aria-invalid="true"') == 4
    assert "data-copy=" not in body


def test_what_a_way_cannot_hand_over_is_said(client: Client, published: None) -> None:
    text = text_of(ask(client, method="kexec", addresses="192.0.2.5/24"))
    assert "This way can't hand over: Addresses." in text


def test_host_of_the_request_is_not_trusted(
    client: Client, published: None, settings: LazySettings
) -> None:
    settings.PORTAL_URL = "http://images.example.org"
    body = client.get("/boot/", headers={"host": "localhost"}).content.decode()
    assert "http://images.example.org/releases" in body
    assert "localhost" not in body
    assert client.get("/boot/", headers={"host": "evil.example"}).status_code == 400


def test_markup_in_fields_stays_text(client: Client, published: None) -> None:
    evil = "</textarea><script>alert(1)</script>"
    for name in ("keys", "hostname", "channel", "system", "method", "consoles", "params"):
        assert "<script>alert" not in ask(client, **{name: evil}).content.decode()


def test_page_needs_few_queries(
    client: Client, published: None, django_assert_max_num_queries: Any
) -> None:
    for _ in range(3):
        ReleaseFactory(published=True)
    with django_assert_max_num_queries(10):
        ask(client, channel="demo", keys=key())


def test_dashboard_and_header_lead_to_it(client: Client, published: None) -> None:
    body = client.get("/").content.decode()
    assert 'href="/boot/?channel=demo&amp;system=x86_64-linux&amp;method=kexec"' in body
    assert 'href="/boot/"' in body
