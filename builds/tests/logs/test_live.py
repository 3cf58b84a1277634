"""Live logs over real web processes: nothing lost, nothing twice, a cap, and an end."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from builds.models import Build, LogArchive, LogChunk
from builds.pipeline import archive_log
from builds.tests.factories import BuildFactory, ReleaseFactory, write_log
from builds.tests.logs.events import Stream
from builds.tests.webs import MakeWeb, Web

pytestmark = pytest.mark.django_db(transaction=True)


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last + 1)]


def expected(last: int) -> list[tuple[int, str]]:
    return list(enumerate(numbered(1, last), start=1))


Watch = Callable[..., Stream]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Begin to watch a build; who still watches in the end is cut off."""
    with ExitStack() as stack:

        def begin(web: Web, build: Build, query: str = "", last_id: str = "") -> Stream:
            stream = Stream(web.url, f"/api/v1/builds/{build.pk}/events{query}", last_id)
            stack.callback(stream.close)
            return stream

        yield begin


def end(build: Build) -> None:
    Build.objects.get(pk=build.pk).fail("It broke.", kind="x", excerpt="", may_retry=False)


def get(web: Web, path: str) -> str:
    with urllib.request.urlopen(f"{web.url}{path}", timeout=30) as answer:
        return str(answer.read().decode())


def test_whoever_comes_back_anywhere_loses_no_line_and_gets_none_twice(
    make_web: MakeWeb, watch: Watch
) -> None:
    webs = [make_web(), make_web()]
    build = BuildFactory(running=True)
    chance = random.Random(20261122)
    written, seen, last_id = 0, [], ""
    stream = watch(webs[0], build)
    for turn in range(24):
        count = chance.choice([0, 1, 7, 150, 1200])
        write_log(
            build, numbered(written + 1, written + count), per_chunk=chance.choice([1, 40, 400])
        )
        written += count
        if turn % 3 == 0:
            # Cut in the middle of whatever was coming.
            stream.close()
            seen += stream.lines
            last_id = stream.last_id or last_id
            stream = watch(webs[turn % 2], build, last_id=last_id)
        elif written > (len(seen) + len(stream.lines)):
            stream.until("log")
    end(build)
    assert stream.until("end").data == {"status": "failed"}
    assert seen + stream.lines == expected(written)


def test_line_that_was_seen_may_lie_within_a_piece(make_web: MakeWeb, watch: Watch) -> None:
    web = make_web()
    build = BuildFactory(running=True, log=numbered(1, 250))
    first = watch(web, build)
    first.until("log")
    for last_id in ("1", "99", "100", "101", "250"):
        later = watch(web, build, last_id=last_id)
        write_log(build, [])
        if int(last_id) < 250:
            while not later.lines or later.lines[-1][0] < 250:
                later.until("log")
            assert later.lines == expected(250)[int(last_id) :]
        later.close()
    first.close()


def test_who_shows_only_the_end_may_skip_what_is_far_from_it(
    make_web: MakeWeb, watch: Watch
) -> None:
    build = BuildFactory(running=True, log=numbered(1, 5000))
    stream = watch(make_web(), build, "?tail=100")
    while not stream.lines or stream.lines[-1][0] < 5000:
        stream.until("log")
    assert 100 <= len(stream.lines) <= 200
    assert stream.lines == expected(5000)[-len(stream.lines) :]


def test_progress_stage_and_end_are_told(make_web: MakeWeb, watch: Watch) -> None:
    before = ReleaseFactory(published=True)
    build = BuildFactory(running=True, release__channel=before.channel)
    stream = watch(make_web(), build)
    progress = stream.until("progress").data
    assert progress["percent"] == 41
    assert progress["expected_seconds"] == 15 * 60
    assert stream.until("stage").data == {"stage": "build"}
    Build.objects.filter(pk=build.pk).update(derivations_done=20, stage="store")
    assert stream.until("progress").data["derivations_done"] == 20
    assert stream.until("stage").data == {"stage": "store"}
    end(build)
    assert stream.until("end").data == {"status": "failed"}
    assert stream.answer.read() == b"", "the server ends the stream"


def test_ended_build_is_told_whole_once_and_then_there_is_nothing_more(
    make_web: MakeWeb, watch: Watch
) -> None:
    web = make_web()
    build = BuildFactory(failed=True, log=numbered(1, 700))
    archive_log(build)
    stream = watch(web, build)
    stream.until("end")
    assert stream.lines == expected(700)
    again = watch(web, build, last_id=stream.last_id)
    assert again.answer.status == 204


def test_log_that_is_archived_while_it_is_read_loses_no_line(
    make_web: MakeWeb, watch: Watch
) -> None:
    build = BuildFactory(running=True, log=numbered(1, 300))
    stream = watch(make_web(), build)
    stream.until("log")
    write_log(build, numbered(301, 900))
    end(build)
    archive_log(build)
    assert not LogChunk.objects.exists()
    stream.until("end")
    assert stream.lines == expected(900)


def test_past_the_cap_watchers_are_asked_to_poll_and_a_free_place_is_taken(
    make_web: MakeWeb, watch: Watch
) -> None:
    web = make_web(WATCHERS_MOST=2)
    build = BuildFactory(running=True, log=numbered(1, 10))
    held = [watch(web, build), watch(web, build)]
    refused = watch(web, build)
    assert refused.answer.status == 503
    assert int(refused.answer.headers["Retry-After"]) > 0
    polled = json.loads(get(web, f"/api/v1/builds/{build.pk}/lines?from=4"))
    assert polled["lines"] == numbered(4, 10)
    assert (polled["first"], polled["total"], polled["is_final"]) == (4, 10, False)
    for stream in held:
        stream.close()
    # A place is free once writing to the one who left fails.
    deadline = time.monotonic() + 30
    written = 10
    while (status := watch(web, build).answer.status) != 200 and time.monotonic() < deadline:
        written += 1
        write_log(build, numbered(written, written))
        time.sleep(0.2)
    assert status == 200


def test_pages_come_while_all_places_of_watchers_are_taken(make_web: MakeWeb, watch: Watch) -> None:
    web = make_web(threads=40, WATCHERS_MOST=30)
    build = BuildFactory(running=True, log=numbered(1, 10))
    held = [watch(web, build) for _ in range(30)]
    assert {stream.answer.status for stream in held} == {200}
    assert "line 10" in get(web, f"/builds/{build.pk}/")
    assert watch(web, build).answer.status == 503
    for stream in held:
        stream.until("log")
        stream.close()


def test_colours_are_runs_of_text_and_names(make_web: MakeWeb, watch: Watch) -> None:
    build = BuildFactory(running=True, log=["\x1b[31mred\x1b[0m <b>", "\x1b]8;;http://x\x07link"])
    stream = watch(make_web(), build)
    stream.until("log")
    assert stream.lines == [(1, [["red", "ansi-red"], [" <b>", ""]]), (2, "link")]
    stream.close()


@pytest.mark.parametrize("archived", [False, True], ids=["in pieces", "archived"])
def test_plain_text_is_given_whole_or_by_lines(client: Any, archived: bool) -> None:
    build = BuildFactory(failed=True, log=numbered(1, 950))
    if archived:
        archive_log(build)
        assert LogArchive.objects.get().lines == 950

    def text(query: str) -> list[str]:
        answer = client.get(f"/api/v1/builds/{build.pk}/log{query}")
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        return b"".join(answer.streaming_content).decode().splitlines()

    assert text("") == numbered(1, 950)
    assert text("?from=99&to=101") == numbered(99, 101)
    assert text("?from=940") == numbered(940, 950)
    assert text("?to=3") == numbered(1, 3)
    assert text("?from=951") == []
    with suppress(json.JSONDecodeError):
        assert client.get("/api/v1/builds/4711/log").json()["status"] == 404
    assert client.get(f"/api/v1/builds/{build.pk}/log?from=0").status_code == 422
