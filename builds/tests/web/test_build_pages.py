"""The pages of builds: what happened in words, the log as inert text, the lists."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from builds.choices import System
from builds.models import Build
from builds.tests.factories import BuildFactory, ChannelFactory, ReleaseFactory
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db


def page(client: Client, build: Build) -> Any:
    response = client.get(f"/builds/{build.pk}/")
    assert response.status_code == 200
    return response


def text_of_log(client: Client, build: Build) -> str:
    response: Any = client.get(f"/builds/{build.pk}/log")
    return b"".join(response.streaming_content).decode()


def test_running_build_shows_stages_and_progress_and_is_followed(client: Client) -> None:
    build = BuildFactory(running=True, bytes_done=310 * 2**20, bytes_expected=1200 * 2**20)
    response = page(client, build)
    text, body = text_of(response), response.content.decode()
    assert "building 41%" in text
    assert "12 of 29 derivations built, 310 MiB of 1.2 GiB fetched" in text
    assert "0:21" in text
    assert '<progress max="100" value="41"' in body
    assert f'data-events="/api/v1/builds/{build.pk}/events"' in body
    assert "data-follow" in body


def test_waiting_build_says_what_it_waits_for(client: Client) -> None:
    assert "It waits: no worker for x86_64-linux right now." in text_of(
        page(client, BuildFactory())
    )


def test_failed_build_begins_with_the_sentence_and_the_excerpt(client: Client) -> None:
    response = page(client, BuildFactory(failed=True))
    text, body = text_of(response), response.content.decode()
    assert "failed while building" in text
    assert "The builder of initrd ended with exit code 1." in text
    assert "cpio: No space left on device" in text
    assert body.index("exit code 1") < body.index('id="log-title"')
    assert "data-follow" not in body


def test_cancelled_and_lost_builds_say_so_in_words(client: Client) -> None:
    assert "Cancelled by an admin." in text_of(page(client, BuildFactory(cancelled=True)))
    lost = text_of(page(client, BuildFactory(lost=True)))
    assert "lost" in lost
    assert "has not been heard of since its lease ran out" in lost


def test_build_that_was_asked_to_stop_says_so(client: Client) -> None:
    build = BuildFactory(running=True)
    build.cancel("enough", at=build.started_at)
    assert "It was asked to stop" in text_of(page(client, build))


def test_attempts_link_to_each_other(client: Client) -> None:
    release = ReleaseFactory(pinned=True, queue=False)
    first = BuildFactory(release=release, lost=True)
    second = BuildFactory(release=release, running=True, attempt=2)
    assert f'href="/builds/{first.pk}/"' in page(client, second).content.decode()
    assert f'href="/builds/{second.pk}/"' in page(client, first).content.decode()
    assert "attempt 2" in text_of(page(client, second))


def test_log_is_text_whatever_it_holds(client: Client) -> None:
    build = BuildFactory(
        running=True,
        log=[
            "<script>alert(1)</script>",
            "\x1b]8;;https://evil.example\x1b\\click me\x1b]8;;\x1b\\",
            "\x1b[1;31mred\x1b[0m and \x1b]0;title\x07plain",
            "{{ settings.SECRET_KEY }}",
            "\x1b]8;;https://never.ends",
            "abc\u202ecba",
        ],
    )
    body = page(client, build).content.decode()
    assert "<script>alert" not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "click me" in body
    assert "evil.example" not in body
    assert "never.ends" not in body
    assert '<span class="ansi-bold ansi-red">red</span> and plain' in body
    assert "{{ settings.SECRET_KEY }}" in body
    assert "\x1b" not in body
    assert "\u202e" not in body


def test_long_log_shows_its_end_with_the_true_line_numbers(client: Client) -> None:
    build = BuildFactory(succeeded=True, log=[f"line {number}" for number in range(1, 2351)])
    response = page(client, build)
    body = response.content.decode()
    assert "the last 2,000 lines of 2,350 lines" in text_of(response)
    assert 'id="L2350"' in body
    assert 'id="L351"' in body
    assert 'id="L350"' not in body
    assert ">line 2350\n</span>" in body


def test_endless_line_is_cut_on_the_page_but_whole_in_the_text(client: Client) -> None:
    build = BuildFactory(succeeded=True, log=["x" * 10_000])
    assert "x" * 4_001 not in page(client, build).content.decode()
    whole = text_of_log(client, build).encode()
    assert whole == b"x" * 10_000 + b"\n"


def test_whole_log_is_plain_text_that_no_browser_guesses_at(client: Client) -> None:
    build = BuildFactory(
        succeeded=True, log=["<b>one</b>", *(f"\x1b[32mline {n}\x1b[0m" for n in range(2, 301))]
    )
    response: Any = client.get(f"/builds/{build.pk}/log")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    lines = b"".join(response.streaming_content).decode().splitlines()
    assert lines == ["<b>one</b>", *(f"line {n}" for n in range(2, 301))]


def test_build_without_a_log_says_so(client: Client) -> None:
    assert "Nothing was written yet." in text_of(page(client, BuildFactory()))


def test_list_shows_running_then_waiting_then_ended(client: Client) -> None:
    release = ReleaseFactory(pinned=True, queue=False)
    BuildFactory(release=release, running=True)
    BuildFactory(release=release, variant="kexec-installer")
    BuildFactory(failed=True)
    text = text_of(client.get("/builds/"))
    assert text.index("Running") < text.index("Waiting") < text.index("Ended")
    assert "The builder of initrd ended with exit code 1" in text


def test_list_is_filtered_by_the_url(client: Client) -> None:
    demo = ReleaseFactory(channel__name="demo", pinned=True, queue=False)
    other = ReleaseFactory(channel__name="other", system=System.AARCH64, pinned=True, queue=False)
    mine, theirs = BuildFactory(release=demo, failed=True), BuildFactory(release=other, lost=True)

    def shown(query: str) -> list[Build]:
        body = client.get(f"/builds/?{query}").content.decode()
        return [build for build in (mine, theirs) if f'href="/builds/{build.pk}/"' in body]

    assert shown("") == [mine, theirs]
    assert shown("channel=demo") == [mine]
    assert shown("system=aarch64-linux") == [theirs]
    assert shown("status=lost") == [theirs]
    assert shown("status=lost&channel=demo") == []
    assert shown("status=nonsense&system=nonsense") == [mine, theirs]


def test_list_has_pages_that_keep_the_filter(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", pinned=True, queue=False)
    for attempt in range(1, 53):
        BuildFactory(release=release, failed=True, attempt=attempt)
    first = client.get("/builds/?channel=demo")
    assert "page 1 of 2" in text_of(first)
    assert "?channel=demo&amp;page=2" in first.content.decode()
    assert "page 2 of 2" in text_of(client.get("/builds/?channel=demo&page=2"))
    assert client.get("/builds/?page=nonsense").status_code == 200


def test_number_of_queries_does_not_grow_with_builds(
    client: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(2):
        BuildFactory(failed=True)
    with django_assert_num_queries(5):
        client.get("/builds/")
    for _ in range(5):
        BuildFactory(failed=True)
    with django_assert_num_queries(5):
        client.get("/builds/")


def test_channel_shows_its_source_slot_and_history_per_system(client: Client) -> None:
    channel = ChannelFactory(name="demo", flake="path:images/mini", end_of_life="2020-06-30")
    for _ in range(12):
        ReleaseFactory(channel=channel, published=True)
    response = client.get("/channels/demo/")
    text = text_of(response)
    assert "path:images/mini" in text
    assert "every Sunday 03:00 UTC" in text
    assert "end of life since 30 June 2020" in text
    assert "2 older releases" in text
    assert "Not built yet: it waits for its slot" in text
    alone = text_of(client.get("/channels/demo/?system=x86_64-linux"))
    assert "older releases" not in alone
    assert "all architectures" in alone


def test_number_of_queries_does_not_grow_with_history(client: Client) -> None:
    channel = ChannelFactory(name="demo", systems=[System.X86_64])

    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            client.get("/channels/demo/")
        return len(context)

    ReleaseFactory(channel=channel, published=True)
    before = queries()
    for _ in range(5):
        ReleaseFactory(channel=channel, published=True)
    assert queries() == before
