"""Language and theme: who asks gets theirs, machines get English, and nobody else may set them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone, translation

from builds.tests.factories import NOW, ReleaseFactory
from builds.tests.shown.rows import rows_in_every_state
from builds.tests.web.reading import text_of
from builds.web import words

pytestmark = pytest.mark.django_db

GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.5", "Accept": "text/html"}
# Words of the pages that German does not share; texts that were stored in English are left out.
ENGLISH_ONLY = ("published", "checks", "waits for", " ago", "built ", "Architecture", "Channels")


def test_browser_language_decides_until_the_cookie_does(client: Client) -> None:
    page = client.get("/status/", headers=GERMAN)
    assert page["Content-Language"] == "de"
    assert "Accept-Language" in page["Vary"]
    assert "Warteschlangen" in text_of(page)
    client.post("/preferences", {"language": "en", "next": "/status/"})
    assert "Queues" in text_of(client.get("/status/", headers=GERMAN))


def test_every_page_is_german_where_german_is_asked_for(client: Client) -> None:
    for path in rows_in_every_state(timezone.now()).values():
        page = client.get(path, headers=GERMAN)
        assert '<html lang="de"' in page.content.decode()
        text = text_of(page)
        assert [word for word in ENGLISH_ONLY if word in text] == [], path


def test_machines_get_english_and_no_varying_answers(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", published=True, stored=True)
    for path in (
        "/api/v1/latest/demo/x86_64-linux/",
        "/feed.atom",
        f"/{release.key('SHA256SUMS')}",
    ):
        answer = client.get(path, headers=GERMAN)
        assert "Accept-Language" not in answer.get("Vary", ""), path
        assert "Content-Language" not in answer
        answer.close()


def test_preferences_go_back_only_to_this_portal(client: Client) -> None:
    for wanted in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", ""):
        answer = client.post("/preferences", {"theme": "dark", "next": wanted})
        assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.post("/preferences", {"next": "/builds/"})["Location"] == "/builds/"
    assert client.get("/preferences").status_code == 405


def test_other_sites_set_no_preferences(client: Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = client.post("/preferences", {"theme": "dark"}, headers=headers)
    assert answer.status_code == 403
    assert not answer.cookies


def test_unknown_preferences_are_not_kept(client: Client) -> None:
    answer = client.post("/preferences", {"theme": '"><script>', "language": "xx"})
    assert not answer.cookies
    client.cookies["theme"] = '"><script>'
    assert "data-theme" not in client.get("/").content.decode()


def test_theme_goes_round_without_javascript(client: Client) -> None:
    shown = []
    for theme in ("dark", "light", ""):
        client.post("/preferences", {"theme": theme})
        shown.append(client.get("/").content.decode().partition("<head>")[0])
    assert ['data-theme="dark"' in page for page in shown] == [True, False, False]
    assert ['data-theme="light"' in page for page in shown] == [False, True, False]


def test_numbers_times_and_cases_are_german() -> None:
    with translation.override("de"):
        assert words.age(NOW - timedelta(days=2), at=NOW) == "vor 2 Tagen"
        assert words.span(timedelta(days=2)) == "2 Tage"
        assert words.size(312.4 * 2**20) == "312 MiB"
        assert words.size(12.5 * 2**20) == "12,5 MiB"
        assert words.counted(12345, "line") == "12.345 Zeilen"
        assert words.ordinal(3) == "3."
        assert words.slot(NOW) == "Sonntag 12:00 UTC"
