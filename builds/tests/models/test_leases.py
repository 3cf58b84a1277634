"""Leases: one worker at a time, and a late one writes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from builds.builders.base import Progress
from builds.choices import BuildStatus
from builds.models import Build, LeaseLost
from builds.tests.models.rows import build, channel, draft

pytestmark = pytest.mark.django_db


@pytest.fixture
def queued() -> Build:
    return build(draft(channel()))


def expire(row: Build) -> None:
    Build.objects.filter(pk=row.pk).update(lease_until=Now() - timedelta(seconds=1))


def test_of_two_workers_one_gets_the_build(queued: Build) -> None:
    same = Build.objects.get(pk=queued.pk)

    assert queued.start("one")
    assert not same.start("two")

    queued.refresh_from_db()
    assert (queued.status, queued.worker, queued.fence) == (BuildStatus.RUNNING, "one", 1)


def test_lost_build_goes_to_a_new_attempt_and_the_late_worker_writes_nothing(
    queued: Build,
) -> None:
    late = Build.objects.get(pk=queued.pk)
    late.start("paused")
    expire(late)

    assert Build.objects.get(pk=queued.pk).lose()
    again = Build.objects.get(pk=queued.pk).again()

    assert again is not None
    assert again.attempt == 2
    with pytest.raises(LeaseLost):
        late.beat()
    with pytest.raises(LeaseLost):
        late.advance(Progress(done=1, expected=2))
    with pytest.raises(LeaseLost):
        late.fail("too late", kind="x", excerpt="", may_retry=False)
    late.refresh_from_db()
    assert late.status == BuildStatus.LOST


def test_beat_keeps_the_build_from_being_lost(queued: Build) -> None:
    queued.start("alive")
    expire(queued)
    queued.beat()

    assert not Build.objects.get(pk=queued.pk).lose()
    assert not Build.objects.abandoned().exists()


def test_fifth_attempt_is_the_last(queued: Build) -> None:
    attempts = [queued]
    while attempts[-1].start("w"):
        attempts[-1].fail("no network", kind="x", excerpt="", may_retry=True)
        following = attempts[-1].again()
        if following is None:
            break
        attempts.append(following)

    assert [one.attempt for one in attempts] == [1, 2, 3, 4, 5]
