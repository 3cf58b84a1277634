"""Whose turn it is, who serves which queue, and when a build should start."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from builds import pipeline, tasks
from builds.choices import BuildStatus, System, Urgency
from builds.models import Build, Release, Worker
from builds.pipeline import Line, Presence
from builds.tests.factories import BuildFactory, ChannelFactory, CheckFactory, ReleaseFactory
from builds.tests.pipeline.conftest import MakeChannel, draft_of
from builds.tests.pipeline.driver import take

pytestmark = pytest.mark.django_db(transaction=True)
X86, ARM = System.X86_64, System.AARCH64
MINUTE = timedelta(minutes=1)


def waiting(urgency: Urgency = Urgency.SCHEDULE, system: System = X86) -> Build:
    release = ReleaseFactory(pinned=True, queue=False, system=system, urgency=urgency)
    build: Build = BuildFactory(release=release)
    return build


def worker(*systems: System, capacity: int = 1, name: str = "worker@one") -> Worker:
    queues = [system.queue for system in systems]
    return Worker.objects.arrive(name, queues, capacity, at=timezone.now())


def took(minutes: int, build: Build, at: datetime) -> None:
    """An earlier build like this one that took so long."""
    BuildFactory(
        release=build.release,
        variant=build.variant,
        attempt=2,
        succeeded=True,
        started_at=at - minutes * MINUTE,
        finished_at=at,
    )


def test_admins_go_before_programs_and_those_before_the_schedule() -> None:
    old, program, admin, young = (
        waiting(),
        waiting(Urgency.API),
        waiting(Urgency.ADMIN),
        waiting(),
    )
    assert list(Build.objects.queued().in_turn()) == [admin, program, old, young]


def test_message_of_an_overtaken_build_builds_the_urgent_one(make_channel: MakeChannel) -> None:
    scheduled, urgent = draft_of(make_channel("one")), draft_of(make_channel("two"))
    for release in (scheduled, urgent):
        take(pipeline.Step("plan", release.pk))
    type(scheduled).objects.filter(pk=scheduled.pk).update(urgency=Urgency.SCHEDULE)
    first, second = scheduled.builds.get(), urgent.builds.get()

    tasks.build(first.pk)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == (BuildStatus.QUEUED, BuildStatus.SUCCEEDED)
    tasks.build(second.pk)
    first.refresh_from_db()
    assert first.status == BuildStatus.SUCCEEDED, "every message takes one"


def test_plans_and_checks_go_by_urgency_too(make_channel: MakeChannel) -> None:
    scheduled, urgent = draft_of(make_channel("one")), draft_of(make_channel("two"))
    Release.objects.filter(pk=scheduled.pk).update(urgency=Urgency.SCHEDULE)

    tasks.plan(scheduled.pk)

    scheduled.refresh_from_db()
    urgent.refresh_from_db()
    assert scheduled.pinned_at is not None, "who plans goes on until none waits"
    assert urgent.pinned_at is not None
    assert urgent.pinned_at < scheduled.pinned_at
    for release in (scheduled, urgent):
        CheckFactory(release=release, name="no-such-check", sent_at=timezone.now())
    tasks.check(scheduled.checks.get().pk)
    assert (scheduled.checks.get().has_failed, urgent.checks.get().has_failed) == (False, True)


def test_retry_that_is_not_due_is_passed_over() -> None:
    later = waiting(Urgency.ADMIN)
    Build.objects.filter(pk=later.pk).update(retry_at=timezone.now() + MINUTE)
    now = waiting()
    assert list(Build.objects.due(timezone.now())) == [now]
    assert Line(timezone.now()).place(later) is None or later.retry_at is None


def test_place_and_start_are_told_from_earlier_builds() -> None:
    at = timezone.now()
    worker(X86, capacity=1)
    first, second, third = waiting(), waiting(), waiting(Urgency.ADMIN)
    for build, minutes in ((first, 10), (second, 20), (third, 5)):
        took(minutes, build, at)

    places = [Line(at).place(build) for build in (third, first, second)]

    assert [place.position for place in places if place] == [1, 2, 3]
    starts = [place.starts_at for place in places if place]
    assert starts == [at, at + 5 * MINUTE, at + 15 * MINUTE]
    assert [place.takes for place in places if place] == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE]
    assert all(place and place.unserved_since is None for place in places)


def test_running_build_keeps_its_place_until_it_usually_ends() -> None:
    at = timezone.now()
    worker(X86, capacity=1)
    running = BuildFactory(running=True)
    took(10, running, at)
    Build.objects.filter(pk=running.pk).update(started_at=at - 4 * MINUTE)
    build = waiting()

    place = Line(at).place(build)

    assert place is not None
    assert place.starts_at == at + 6 * MINUTE
    assert place.takes is None, "nothing like it was built before"


def test_two_workers_halve_the_wait_and_other_systems_do_not_count() -> None:
    at = timezone.now()
    worker(X86)
    worker(X86, name="worker@two")
    worker(ARM, name="worker@three")
    builds = [waiting(), waiting(), waiting()]
    for build in builds:
        took(10, build, at)
    arm = waiting(system=ARM)

    line = Line(at)

    starts = [place.starts_at for build in builds if (place := line.place(build))]
    assert starts == [at, at, at + 10 * MINUTE]
    place = line.place(arm)
    assert place is not None
    assert (place.position, place.starts_at) == (1, at)


def test_queue_without_worker_says_since_when() -> None:
    at = timezone.now()
    gone = worker(ARM)
    Worker.objects.filter(pk=gone.pk).update(seen_at=at - timedelta(hours=2))
    build = waiting(system=ARM)

    place = Line(at).place(build)

    assert place is not None
    assert place.unserved_since == at - timedelta(hours=2)
    assert place.starts_at is None
    assert Line(at).unserved_since(X86.queue) == at


def test_worker_that_never_was_is_missed_since_the_oldest_build() -> None:
    build = waiting(system=ARM)
    Build.objects.filter(pk=build.pk).update(queued_at=timezone.now() - timedelta(hours=3))
    build.refresh_from_db()
    assert Line(timezone.now()).unserved_since(ARM.queue) == build.queued_at


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def _holds(condition: Callable[[], object]) -> bool:
    """Whether it does; not while a thread beside this one writes, where SQLite is in memory."""
    try:
        return bool(condition())
    except OperationalError:
        return False


def test_worker_registers_beats_and_leaves(request: pytest.FixtureRequest) -> None:
    queues = ["default", X86.queue]
    presence = Presence("worker@here", lambda: queues, 2, pipeline.builder(), every=0.1)
    presence.start()
    request.addfinalizer(presence.leave)
    wait_until(Worker.objects.exclude(nix_version="").exists)
    row = Worker.objects.get()
    assert row.is_alive(timezone.now())
    assert (row.queues, row.capacity) == (["build.x86_64-linux", "default"], 2)
    assert row.nix_version.startswith("nix")
    assert row.portal_version == "0.1.0"
    assert row.accelerator in {"kvm", "tcg"}
    assert row.store_free
    queues.append(ARM.queue)
    wait_until(lambda: Worker.objects.get().serves(ARM.queue))
    wait_until(lambda: Worker.objects.get().seen_at > row.seen_at)

    presence.leave()

    left = Worker.objects.get()
    assert left.left_at is not None
    assert not left.is_alive(timezone.now())


def test_silent_worker_counts_as_gone_after_a_lease() -> None:
    at = timezone.now()
    row = worker(X86)
    assert list(Worker.objects.alive(at)) == [row]
    beats = timedelta(seconds=3 * settings.HEARTBEAT_SECONDS)
    assert list(Worker.objects.alive(at + beats)) == [row]
    assert not Worker.objects.alive(at + timedelta(seconds=61)).exists()


def test_late_goodbye_of_an_old_process_does_not_end_the_new_one() -> None:
    old = worker(X86)
    new = worker(X86)
    old.leave()
    new.refresh_from_db()
    assert new.left_at is None
    new.leave()
    new.refresh_from_db()
    assert new.left_at is not None


def test_position_counts_only_builds_of_the_same_system() -> None:
    ChannelFactory()
    waiting(Urgency.ADMIN, ARM)
    place = Line(timezone.now()).place(waiting())
    assert place is not None
    assert place.position == 1
