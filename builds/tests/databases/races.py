"""Acts that meet on one row; SQLite lets one writer in at a time, so these want PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from builds import pipeline
from builds.choices import Act, ReleaseStatus
from builds.models import Actor, AuditEntry, Build, Head, NotAllowed, Release
from builds.tests.factories import BuildFactory
from builds.tests.models.rows import channel, published

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()
FAR = NOW + timedelta(days=99)


def both(*acts: Callable[[], bool]) -> list[object]:
    """Do acts at the same moment; what each gave, or the error that it met."""
    gate = threading.Barrier(len(acts))
    answers: list[object] = [None] * len(acts)

    def run(number: int) -> None:
        try:
            gate.wait()
            answers[number] = acts[number]()
        except Exception as error:  # noqa: BLE001 - the test says what it wants instead
            answers[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("act", ["withdraw the head", "withdraw it", "keep it"])
def test_release_that_expires_while_something_else_is_done_is_one_or_the_other(act: str) -> None:
    for number in range(15):
        of = channel(f"demo{number}")
        old, head = published(of, "1"), published(of, "2")
        Release.objects.filter(pk=old.pk).update(marked_at=NOW)
        old, again = Release.objects.get(pk=old.pk), Release.objects.get(pk=old.pk)
        other: Callable[[], bool] = {
            "withdraw the head": lambda head=head: head.withdraw("it eats disks", at=NOW),
            "withdraw it": lambda again=again: again.withdraw("it eats disks", at=NOW),
            "keep it": lambda again=again: again.keep("it is needed", by=None, at=NOW),
        }[act]

        def expire(old: Release = old) -> bool:
            return old.expire(marked_before=FAR, unread_since=FAR, at=NOW)

        answers = both(expire, other)

        assert all(isinstance(answer, bool) for answer in answers), answers
        if act != "withdraw the head":
            assert sorted(map(bool, answers)) == [False, True]
        at_head = Head.objects.filter(channel=of).values_list("release__status", flat=True)
        assert set(at_head) <= {ReleaseStatus.PUBLISHED}


def test_acts_at_the_same_moment_do_not_fork_the_trail() -> None:
    of = channel("demo")

    def act() -> bool:
        for _ in range(5):
            AuditEntry.objects.record(Act.CHANGE, of, by=Actor("ann"), at=NOW)
        return True

    assert both(*[act] * 8) == [True] * 8
    assert AuditEntry.objects.count() == 40
    assert list(AuditEntry.objects.faults()) == []


def cancels(row: Build | Release) -> bool:
    try:
        pipeline.cancel(row, "Not today.", by=None, at=NOW)
    except NotAllowed:
        return False
    return True


def test_cancelling_a_build_and_its_release_at_once_does_both_without_a_deadlock() -> None:
    for _ in range(10):
        build = BuildFactory()
        release = Release.objects.get(pk=build.release_id)

        answers = both(partial(cancels, build), partial(cancels, release))
        assert sorted(map(str, answers)) in (["False", "True"], ["True", "True"]), answers
        release.refresh_from_db()
        assert release.status == ReleaseStatus.CANCELLED
    assert list(AuditEntry.objects.faults()) == []
