"""A request that is sent again under its key is done once, by however many at a time."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from builds import pipeline
from builds.models import Answer, AuditEntry, Release
from builds.tests.factories import BuildFactory, ReleaseFactory
from builds.tests.tokens.conftest import ask, demo, new_token

WISH = {"channel": "demo", "system": "x86_64-linux"}
KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'


@pytest.fixture
def text(db: None) -> str:
    demo()
    return new_token()[1]


def trigger(text: str, key: str = KEY, wish: dict[str, Any] | None = None) -> Any:
    return ask(text, "releases/", wish or WISH, Idempotency_Key=key)


def test_same_key_gets_the_same_answer_and_triggers_nothing_again(text: str) -> None:
    first = trigger(text)
    Release.objects.get().cancel("Not today.", at=timezone.now())

    second = trigger(text)

    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second["Location"] == first["Location"]
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert Release.objects.count() == 1
    assert AuditEntry.objects.filter(act="trigger").count() == 1
    assert trigger(text, key="another").json() != first.json()


def test_key_in_quotes_and_without_is_the_same_and_so_is_the_order_of_fields(text: str) -> None:
    first = trigger(text, key='"abc"')
    second = trigger(text, key=" abc ", wish=dict(reversed(WISH.items())))
    assert second["Idempotency-Replayed"] == "true"
    assert first.json() == second.json()


def test_same_key_for_something_else_is_refused(text: str) -> None:
    trigger(text)
    build = BuildFactory()
    for answer in (
        trigger(text, wish={**WISH, "force": True}),
        ask(text, f"builds/{build.pk}/cancel/", Idempotency_Key=KEY),
    ):
        assert answer.status_code == 422
        assert "came with another request" in answer.json()["detail"]
    build.refresh_from_db()
    assert build.status == "queued"


def test_key_of_one_token_says_nothing_to_another(text: str) -> None:
    trigger(text)
    _, other = new_token(of=Answer.objects.get().token.owner, name="other")
    assert "Idempotency-Replayed" not in trigger(other)


def test_what_was_refused_is_tried_afresh(text: str, settings: Any) -> None:
    settings.QUEUE_MOST = 1
    build = BuildFactory()
    assert trigger(text).status_code == 429
    assert not Answer.objects.exists()
    pipeline.cancel(build, "x", by=None, at=timezone.now())
    assert trigger(text).status_code == 202


def test_cancelled_and_retried_once(text: str) -> None:
    failed = BuildFactory(release=ReleaseFactory(failed=True, queue=False), failed=True)
    for path in (f"builds/{failed.pk}/retry/", f"builds/{BuildFactory().pk}/cancel/"):
        first, second = (ask(text, path, Idempotency_Key=path) for _ in range(2))
        assert (first.status_code, second.status_code) == (202, 202)
        assert first.content == second.content
    assert ask(text, path).status_code == 409, "without the key it is tried a second time"


@pytest.mark.parametrize("key", ["", '""', '"a', "a b", "ä", "x" * 256, '"x\\"'])
def test_key_that_is_none_is_refused(text: str, key: str) -> None:
    answer = trigger(text, key=key)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["title"]
    assert not Release.objects.exists()


def test_answers_are_forgotten_after_a_day(text: str) -> None:
    trigger(text)
    now = timezone.now()
    list(pipeline.collect(at=now + timedelta(hours=23)))
    assert Answer.objects.exists()
    Answer.objects.update(given_at=now - timedelta(hours=25))
    assert "Idempotency-Replayed" not in trigger(text), "one that is too old is none"
    Answer.objects.update(given_at=now - timedelta(hours=25))
    done = [str(act) for act in pipeline.collect(at=now)]
    assert any("1 answers kept by a key" in act for act in done)
    assert not Answer.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_duplicates_at_the_same_moment_are_one_and_all_get_its_answer(database_url: str) -> None:
    demo()
    _, text = new_token()
    gate, answers = threading.Barrier(6), []

    def send() -> None:
        gate.wait()
        try:
            answers.append(trigger(text))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answer.status_code for answer in answers] == [202] * 6
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer for answer in answers) == 5
    assert AuditEntry.objects.filter(act="trigger").count() == 1
    assert Answer.objects.count() == 1
