"""What a worker that comes late, or a broker that forgot, must not do to a release."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from builds import pipeline
from builds.builders.base import Builder, CancelSignal, EvaluationFailed, Pin, Source, never
from builds.choices import ReleaseStatus
from builds.models import Release
from builds.storage import artifacts
from builds.tests.builders.flakes import SYSTEM
from builds.tests.pipeline.conftest import MakeChannel, draft_of
from builds.tests.pipeline.driver import drive
from portal.env import BadSetting, Environment

pytestmark = pytest.mark.django_db(transaction=True)


class TooLate:
    """A builder whose planner was paused: meanwhile another one took the draft."""

    def pin(self, source: Source, cancelled: CancelSignal = never) -> Pin:
        Release.objects.update(lease_until=Now() - timedelta(seconds=1))
        assert Release.objects.get().hold("the next")
        raise EvaluationFailed("the source is gone")


def test_planner_that_comes_late_fails_nothing(make_channel: MakeChannel) -> None:
    release = draft_of(make_channel())
    assert release.hold("late")
    builder: Builder = TooLate()  # type: ignore[assignment]

    pipeline.pin(release, builder, at=timezone.now())

    assert Release.objects.get().status == ReleaseStatus.DRAFT


def test_reading_again_takes_over_nobodys_fence(make_channel: MakeChannel) -> None:
    late = draft_of(make_channel())
    assert late.hold("late")
    Release.objects.update(lease_until=None)
    assert Release.objects.get().hold("the next")

    late.reread()

    assert late.fence == 1
    assert not late.fail_as_holder("too late", at=timezone.now())


def test_withdrawal_that_broke_off_is_finished_by_reconcile(make_channel: MakeChannel) -> None:
    release = drive(draft_of(make_channel()))
    release.withdraw("wrong", at=timezone.now())

    pipeline.reconcile(at=timezone.now())

    assert artifacts().read(f"releases/download/demo/latest-{SYSTEM}.json") is None


def test_heartbeat_slower_than_half_a_lease_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEASE_SECONDS", "20")
    monkeypatch.setenv("HEARTBEAT_SECONDS", "10")

    with pytest.raises(BadSetting, match="less than half"):
        Environment().lease()
