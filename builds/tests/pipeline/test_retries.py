"""What is tried again by itself, when, and how often."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from builds import pipeline
from builds.builders.base import BuilderUnavailable, EvaluationFailed
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import BuildStatus, ReleaseStatus, Trigger, Urgency
from builds.models import Build, Release
from builds.pipeline import Step, advance
from builds.tests.factories import BuildFactory, ReleaseFactory
from builds.tests.pipeline.conftest import MakeChannel, draft_of
from builds.tests.pipeline.driver import drive, take

pytestmark = pytest.mark.django_db(transaction=True)


def failed_once_more(build: Build) -> Build:
    """Let a queued build fail for want of the network; the attempt that follows."""
    assert build.start("worker-1")
    build.fail("No network.", kind="BuilderUnavailable", excerpt="", may_retry=True)
    advance(build.release, at=timezone.now())
    return Build.objects.filter(release=build.release).latest("attempt")


def test_retries_wait_longer_each_time() -> None:
    build: Build = BuildFactory()
    pauses = []
    for _ in range(4):
        before = timezone.now()
        build = failed_once_more(build)
        assert build.retry_at is not None
        pauses.append(round((build.retry_at - before) / timedelta(seconds=30)))
    assert pauses == [1, 4, 16, 64], "30 s, 2 min, 8 min, 32 min"

    last = failed_once_more(build)

    assert last.pk == build.pk, "five are enough"
    last.release.refresh_from_db()
    assert last.release.status == ReleaseStatus.FAILED
    assert "after 5 attempts" in last.release.reason


def test_reconcile_leaves_a_retry_alone_until_it_is_due() -> None:
    build = failed_once_more(BuildFactory())
    at = timezone.now()
    [step] = advance(build.release, at=at)
    assert 25 < step.delay <= 30
    pipeline.note_sent(step, at=at)

    assert advance(build.release, at=at, again=True) == []
    [step] = advance(build.release, at=at + timedelta(seconds=31), again=True)

    assert (step.row, step.delay) == (build.pk, 0)


def test_lost_build_is_tried_again_at_once() -> None:
    lost = BuildFactory(lost=True)
    [step] = advance(lost.release, at=timezone.now())
    assert (step.row, step.delay) != (lost.pk, 0)
    assert step.delay == 0


def test_asking_for_a_release_that_waits_for_its_retry_ends_the_waiting() -> None:
    build = failed_once_more(BuildFactory())
    pipeline.note_sent(Step("build", build.pk), at=timezone.now())

    pipeline.retry(build, by=None, at=timezone.now())

    [step] = advance(build.release, at=timezone.now())
    assert (step.row, step.delay) == (build.pk, 0)


def test_retry_by_hand_gives_new_tries() -> None:
    release = ReleaseFactory(failed=True, channel__variants=["netboot"])
    Build.objects.filter(release=release).update(attempt=5)
    pipeline.retry(release, by=None, at=timezone.now())
    build = release.builds.queued().get()
    assert (build.attempt, build.tries) == (6, 1)
    assert failed_once_more(build).attempt == 7


def test_source_that_cannot_be_reached_is_planned_again_later(make_channel: MakeChannel) -> None:
    release = draft_of(make_channel())
    builder = NixBuilder(NixSettings(program="no-such-nix"))
    at = timezone.now()

    pipeline.pin(release, builder, at=at)

    assert release.is_draft
    assert release.retry_at == at + timedelta(seconds=30)
    assert "not installed" in release.reason
    assert advance(release, at=at, again=True) == []
    assert drive(release).status == ReleaseStatus.PUBLISHED
    assert release.reason == ""


def test_source_that_stays_away_fails_the_release(make_channel: MakeChannel) -> None:
    release = draft_of(make_channel())
    for _ in range(5):
        assert release.is_draft
        pipeline.pin(release, NixBuilder(NixSettings(program="no-such-nix")), at=timezone.now())
    assert release.status == ReleaseStatus.FAILED
    assert BuilderUnavailable.retry
    assert not EvaluationFailed.retry


def test_build_that_would_not_find_room_fails_and_says_so(
    make_channel: MakeChannel, settings: LazySettings
) -> None:
    release = draft_of(make_channel())
    take(Step("plan", release.pk))
    settings.DISK_FREE_LEAST = 2**60
    build = Build.objects.get()

    take(Step("build", build.pk))

    build.refresh_from_db()
    assert build.status == BuildStatus.FAILED
    assert build.error_kind == "OutOfSpace"
    assert "GiB left for the Nix store" in build.error
    assert build.will_be_retried
    settings.DISK_FREE_LEAST = 0
    assert drive(Release.objects.get()).status == ReleaseStatus.PUBLISHED


def test_admin_who_asks_for_a_scheduled_release_in_the_making_hurries_it() -> None:
    release = ReleaseFactory(pinned=True)
    assert release.urgency == Urgency.SCHEDULE

    [same] = pipeline.trigger(release.channel, [release.system], why=Trigger.ADMIN, forced=True)

    assert same == release
    assert (same.urgency, same.forced) == (Urgency.ADMIN, True)
