"""What the environment says of e-mail and webhooks, and that the worker knows its doors."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from builds import tasks
from portal.celery import app
from portal.env import BadSetting, Environment
from portal.schedule import TICKS


def test_no_email_url_means_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMAIL_URL", raising=False)
    assert Environment().email() == {}


def test_email_url_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_URL", "submission://us%40er:w%3Ard@mail.example.org")
    read = Environment().email()
    assert (read["EMAIL_HOST"], read["EMAIL_PORT"]) == ("mail.example.org", 587)
    assert (read["EMAIL_HOST_USER"], read["EMAIL_HOST_PASSWORD"]) == ("us@er", "w:rd")
    assert (read["EMAIL_USE_TLS"], read["EMAIL_USE_SSL"]) == (True, False)
    monkeypatch.setenv("EMAIL_URL", "smtp://mail.example.org:465/?ssl=true")
    read = Environment().email()
    assert (read["EMAIL_PORT"], read["EMAIL_USE_SSL"]) == (465, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EMAIL_URL", "mail.example.org"),
        ("EMAIL_URL", "http://mail.example.org"),
        ("EMAIL_URL", "smtp://mail.example.org:port"),
        ("MAIL_FROM", "nobody"),
        ("WEBHOOK_NETWORKS", "10.0.0.0/8,here"),
        ("WEBHOOK_NETWORKS", "10.0.0.1/8"),
    ],
)
def test_nonsense_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    readers: dict[str, Callable[[], object]] = {
        "EMAIL_URL": lambda: Environment().email(),
        "MAIL_FROM": lambda: Environment().mail_from(""),
        "WEBHOOK_NETWORKS": lambda: Environment().networks("WEBHOOK_NETWORKS"),
    }
    with pytest.raises(BadSetting, match=f"portal: setting {name}: "):
        readers[name]()


def test_sender_has_the_portals_host_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAIL_FROM", raising=False)
    env = Environment()
    assert env.mail_from("https://images.example.org") == "nixos-images@images.example.org"
    assert env.mail_from("") == "nixos-images@localhost"
    monkeypatch.setenv("MAIL_FROM", "Images <a@example.org>")
    assert env.mail_from("") == "Images <a@example.org>"


def test_networks_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_NETWORKS", "10.0.0.0/8, fd00::/8")
    networks = Environment().networks("WEBHOOK_NETWORKS")
    assert networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_every_tick_names_a_task_that_there_is() -> None:
    app.autodiscover_tasks(force=True)
    assert {tick["task"] for tick in TICKS.values()} <= set(app.tasks)
    assert tasks.notify.name in {tick["task"] for tick in TICKS.values()}
