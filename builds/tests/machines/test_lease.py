"""Leases of builds: however workers pause, wake and race, one at a time writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from builds.builders.base import Progress
from builds.choices import BuildStatus, Stage
from builds.models import Build, LeaseLost
from builds.models.build import MOST_ATTEMPTS
from builds.tests.machines.rolled_back import RUNS, RolledBack
from builds.tests.models.rows import NOW, build, channel, draft

ACTIVE = {BuildStatus.QUEUED, BuildStatus.RUNNING}


@dataclass
class Known:
    """What the model says of one attempt."""

    status: str = BuildStatus.QUEUED
    fence: int = 0
    is_over: bool = False  # its lease
    done: int = 0


class Builds(RolledBack):
    """One variant of one draft: attempts, the workers that took them, and the reconciler."""

    attempts = Bundle("attempts")
    workers = Bundle("workers")

    def begin(self) -> None:
        self.known: dict[int, Known] = {}

    @initialize(target=attempts)
    def first(self) -> int:
        made = build(draft(channel()))
        self.known[made.pk] = Known()
        return made.pk

    @rule(target=workers, pk=attempts, racers=st.integers(1, 3))
    def start(self, pk: int, racers: int) -> Any:
        """Several have read the row before one of them takes it."""
        known = self.known[pk]
        read = [Build.objects.get(pk=pk) for _ in range(racers)]
        took = [each for each in read if each.start("worker")]
        assert len(took) == (known.status == BuildStatus.QUEUED)
        if not took:
            return multiple()
        known.status, known.fence, known.is_over = BuildStatus.RUNNING, known.fence + 1, False
        return took[0]

    @rule(target=workers, pk=attempts)
    def start_and_be_replaced(self, pk: int) -> Any:
        """A worker that pauses past its lease; what it held is given up and tried again."""
        late = self.start(pk, 1)
        self.worker_is_not_heard_of(pk)
        return late

    @rule(pk=attempts)
    def worker_is_not_heard_of(self, pk: int) -> None:
        if self.known[pk].status == BuildStatus.RUNNING:
            Build.objects.filter(pk=pk).update(lease_until=Now() - timedelta(seconds=1))
            self.known[pk].is_over = True

    def _writes(self, mine: Build) -> bool:
        known = self.known[mine.pk]
        return (known.status, known.fence) == (BuildStatus.RUNNING, mine.fence)

    @rule(mine=workers, how=st.sampled_from(["beat", "advance", "enter"]), done=st.integers(0, 99))
    def worker_writes(self, mine: Build, how: str, done: int) -> None:
        def write() -> None:
            if how == "beat":
                mine.beat()
            elif how == "enter":
                mine.enter(Stage.BUILD, {})
            else:
                mine.advance(Progress(done=done, expected=100))

        if not self._writes(mine):
            with pytest.raises(LeaseLost):
                write()
            return
        write()
        self.known[mine.pk].is_over = False
        if how == "advance":
            self.known[mine.pk].done = done

    @rule(mine=workers, may_retry=st.booleans())
    def worker_ends(self, mine: Build, may_retry: bool) -> None:
        def end() -> None:
            mine.fail("no network", kind="x", excerpt="", may_retry=may_retry)

        if not self._writes(mine):
            with pytest.raises(LeaseLost):
                end()
            return
        end()
        self.known[mine.pk].status = BuildStatus.FAILED

    @rule(mine=workers)
    def worker_stops_as_asked(self, mine: Build) -> None:
        if not self._writes(mine):
            with pytest.raises(LeaseLost):
                mine.end_cancelled("stopped")
            return
        mine.end_cancelled("stopped")
        self.known[mine.pk].status = BuildStatus.CANCELLED

    @rule(pk=attempts)
    def reconciler_gives_it_up(self, pk: int) -> None:
        known = self.known[pk]
        may = known.status == BuildStatus.RUNNING and known.is_over
        assert Build.objects.get(pk=pk).lose() == may
        if may:
            known.status = BuildStatus.LOST

    @rule(pk=attempts)
    def somebody_cancels(self, pk: int) -> None:
        known, row = self.known[pk], Build.objects.get(pk=pk)
        row.cancel("no", at=NOW)
        if known.status == BuildStatus.QUEUED:
            known.status = BuildStatus.CANCELLED
        if known.status == BuildStatus.RUNNING:
            assert row.cancel_requested_at == NOW

    @rule(target=attempts, pk=attempts, by_hand=st.booleans())
    def again(self, pk: int, by_hand: bool) -> Any:
        row = Build.objects.get(pk=pk)
        is_enough = not by_hand and row.tries >= MOST_ATTEMPTS
        may = not is_enough and not any(k.status in ACTIVE for k in self.known.values())
        made = row.again(by_hand=by_hand)
        assert (made is not None) == may
        if made is None:
            return multiple()
        assert made.attempt == len(self.known) + 1
        self.known[made.pk] = Known()
        return made.pk

    @invariant()
    def rows_say_what_the_model_says(self) -> None:
        rows = {row.pk: row for row in Build.objects.all()}
        assert rows.keys() == self.known.keys()
        for pk, known in self.known.items():
            said = (rows[pk].status, rows[pk].fence, rows[pk].derivations_done)
            assert said == (known.status, known.fence, known.done)
            assert (rows[pk].lease_until is not None) == (known.status == BuildStatus.RUNNING)

    @invariant()
    def abandoned_are_those_whose_lease_is_over(self) -> None:
        wanted = {
            pk
            for pk, known in self.known.items()
            if known.status == BuildStatus.RUNNING and known.is_over
        }
        assert {row.pk for row in Build.objects.abandoned()} == wanted


@pytest.mark.django_db
def test_one_worker_at_a_time_writes_whatever_becomes_of_the_others() -> None:
    run_state_machine_as_test(Builds, settings=RUNS)
