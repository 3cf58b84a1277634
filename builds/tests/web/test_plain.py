"""Pages as texts for curl and wget, against a real server and with the real programs."""

from __future__ import annotations

import subprocess

import pytest
from django.test import Client

from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.webs import MakeWeb

CURL = {"User-Agent": "curl/8.5.0", "Accept": "*/*"}
FIREFOX = {
    "User-Agent": "Mozilla/5.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    ["/", "/channels/demo/", "/channels/demo/x86_64-linux/", "/channels/demo/aarch64-linux/"],
)
def test_programs_get_text_and_browsers_a_page(client: Client, path: str) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    text, page = client.get(path, headers=CURL), client.get(path, headers=FIREFOX)
    assert text["Content-Type"] == "text/plain; charset=utf-8"
    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert text.status_code == page.status_code
    assert "<" not in text.content.decode()
    for response in (text, page):
        assert {"Accept", "User-Agent"} <= set(response["Vary"].split(", "))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"Accept": "*/*", "User-Agent": "HTTPie/3"}, "text/plain"),
        ({"User-Agent": "Wget"}, "text/plain"),
        ({"Accept": "text/html", "User-Agent": "curl/8"}, "text/html"),
        ({"User-Agent": "Mozilla/5.0"}, "text/html"),
        ({"Accept": "application/xhtml+xml"}, "text/html"),
    ],
)
def test_what_is_asked_for_decides(client: Client, headers: dict[str, str], kind: str) -> None:
    assert client.get("/", headers=headers)["Content-Type"].startswith(kind)


@pytest.mark.django_db
def test_text_is_english_whatever_the_language(client: Client) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    text = client.get("/", headers={**CURL, "Accept-Language": "de"}).content.decode()
    assert "Paste as root" in text
    assert "2 days ago" in text or "ago" in text


@pytest.mark.django_db(transaction=True)
def test_real_curl_and_wget_get_the_very_command(make_web: MakeWeb, database_url: str) -> None:
    release = ReleaseFactory(channel=ChannelFactory(name="demo", is_default=True), published=True)
    web = make_web()
    tarball = release.artifacts.get(role="tarball")
    for command in (["curl", "-fsS"], ["wget", "-qO-"], ["busybox", "wget", "-qO-"]):
        done = subprocess.run([*command, f"{web.url}/"], capture_output=True, text=True, check=True)
        assert f"curl -fLO {web.url}/{tarball.key}" in done.stdout, command
        assert f'echo "{tarball.sha256}  {tarball.name}" | sha256sum -c -' in done.stdout
        assert "<html" not in done.stdout
