"""How often a token may ask: counted by a real Redis, and not at all without one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from builds.limits import Buckets, buckets
from builds.tests.tokens.conftest import ask, demo, get, new_token

POLICY = '"token";q=3;w=60'


@pytest.fixture
def limited(redis_url: str, settings: Any) -> Iterator[str]:
    """Three requests a minute, counted in a Redis of its own."""
    settings.REDIS_URL, settings.TOKEN_RATE = redis_url, 3
    client(redis_url).flushall()
    yield redis_url
    buckets.cache_clear()


def client(url: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))


@pytest.mark.django_db
def test_token_that_asks_too_often_is_told_when_to_come_again(limited: str) -> None:
    demo()
    _, text = new_token()
    wish = {"channel": "demo"}

    answers = [ask(text, "releases/", wish) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
    left = [answer["RateLimit"].partition(";t=")[0] for answer in answers]
    assert left == [f'"token";r={n}' for n in (2, 1, 0, 0, 0)]
    for answer in answers:
        assert answer["RateLimit-Policy"] == POLICY
    refused = answers[-1]
    assert 1 <= int(refused["Retry-After"]) <= 20
    problem = refused.json()
    assert problem["type"].endswith("#quota-exceeded")
    assert problem["violated-policies"] == ["token"]


@pytest.mark.django_db
def test_each_token_has_a_bucket_of_its_own_and_reads_count(limited: str) -> None:
    token, text = new_token()
    _, other = new_token(of=token.owner, name="other")
    for _ in range(3):
        assert get(text, "releases/drafts/1/").status_code == 404
    assert get(text, "releases/drafts/1/").status_code == 429
    assert get(other, "releases/drafts/1/").status_code == 404


@pytest.mark.django_db
def test_wrong_scope_counts_and_says_what_is_left(limited: str) -> None:
    _, text = new_token("withdraw")  # type: ignore[arg-type]
    answer = ask(text, "releases/", {"channel": "demo"})
    assert answer.status_code == 403
    assert answer["RateLimit"].startswith('"token";r=2;')


def test_bucket_fills_again_evenly(redis_url: str) -> None:
    mine = Buckets(redis_url)
    most = 600  # one comes back in a tenth of a second
    taken = [mine.take("evenly", most) for _ in range(most)]
    assert all(each is not None and each.may for each in taken)
    until = time.monotonic() + 5
    given = 0
    while given < 3:
        assert time.monotonic() < until
        each = mine.take("evenly", most)
        assert each is not None
        given += each.may
        if not each.may:
            assert each.retry_after == 1
            time.sleep(0.02)


def test_key_in_redis_goes_by_itself(redis_url: str) -> None:
    Buckets(redis_url).take("goes", 60)
    [key] = client(redis_url).keys("portal:rate:goes")
    assert 0 < client(redis_url).pttl(key) <= 1000


def test_many_at_once_never_get_more_than_there_is(redis_url: str) -> None:
    gate, granted = threading.Barrier(8), []

    def ask_often() -> None:
        mine = Buckets(redis_url)
        gate.wait()
        for _ in range(10):
            each = mine.take("many", 20)
            assert each is not None
            granted.append(each.may)

    threads = [threading.Thread(target=ask_often) for _ in range(8)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    back = int((time.monotonic() - begun) / 3) + 1  # one comes back every three seconds
    assert len(granted) == 80
    assert 20 <= sum(granted) <= 20 + back


@pytest.mark.django_db
def test_without_redis_acts_go_on_uncounted_and_the_log_says_so_once(
    settings: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL, settings.TOKEN_RATE = f"redis+socket://{tmp_path}/gone.sock", 1
    demo()
    _, text = new_token()

    answers = [ask(text, "releases/", {"channel": "demo"}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [202] * 4
    assert all("RateLimit" not in answer for answer in answers)
    assert caplog.text.count("requests are not counted, Redis is away") == 1


def test_redis_that_hangs_slows_down_one_request_only() -> None:
    with hanging() as url:
        mine, begun = Buckets(url), time.monotonic()
        assert [mine.take("x", 5) for _ in range(50)] == [None] * 50
        assert time.monotonic() - begun < 2


class hanging:  # noqa: N801 - reads as a context manager
    """A server that takes connections and never says a word."""

    def __enter__(self) -> str:
        import socket

        self._server = socket.create_server(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"

    def __exit__(self, *_: object) -> None:
        self._server.close()
