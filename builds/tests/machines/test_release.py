"""Releases, whatever is done to them in whatever order, against a model of a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from builds.choices import ReleaseStatus, System
from builds.models import Head, LeaseLost, NotAllowed, Release
from builds.tests.machines.rolled_back import RUNS, RolledBack
from builds.tests.models.rows import NOW, channel, draft

SYSTEMS = st.sampled_from([System.X86_64, System.AARCH64])
DRAFT, PUBLISHED, WITHDRAWN = (
    ReleaseStatus.DRAFT,
    ReleaseStatus.PUBLISHED,
    ReleaseStatus.WITHDRAWN,
)
ENDED = {ReleaseStatus.FAILED, ReleaseStatus.CANCELLED}


@dataclass
class Known:
    """What the model says of one release."""

    system: str
    status: str = DRAFT
    sequence: int | None = None
    fence: int = 0
    is_held: bool = False
    order: int = 0  # in which it was published


class Releases(RolledBack):
    """Workers that hold drafts, some of them late, and admins who end, withdraw and roll back."""

    rows = Bundle("rows")
    workers = Bundle("workers")  # instances as a worker has read and taken them

    def begin(self) -> None:
        self.channel = channel()
        self.known: dict[int, Known] = {}
        self.heads: dict[str, int] = {}
        self.counted = 0

    def _drafts(self, system: str) -> list[Known]:
        return [k for k in self.known.values() if (k.system, k.status) == (system, DRAFT)]

    @rule(target=rows, system=SYSTEMS)
    def begin_a_draft(self, system: str) -> Any:
        self.counted += 1
        if self._drafts(system):
            with pytest.raises(IntegrityError), transaction.atomic():
                draft(self.channel, system, version=f"{self.counted}")
            return multiple()
        made = draft(self.channel, system, version=f"{self.counted}")
        self.known[made.pk] = Known(system)
        return made.pk

    @rule(target=workers, pk=rows)
    def hold(self, pk: int) -> Any:
        known, mine = self.known[pk], Release.objects.get(pk=pk)
        may = known.status == DRAFT and not known.is_held
        assert mine.hold("worker") == may
        if not may:
            return multiple()
        known.fence, known.is_held = known.fence + 1, True
        assert mine.fence == known.fence
        return mine

    @rule(target=rows, system=SYSTEMS)
    def publish_another(self, system: str) -> Any:
        """The whole way at once, so that there is something to withdraw and to roll back."""
        for other, known in self.known.items():
            if known in self._drafts(system):
                self.cancel(other)
        pk: Any = self.begin_a_draft(system)
        mine: Any = self.hold(pk)
        self.number(mine)
        self.publish(mine)
        return pk

    @rule(target=workers, system=SYSTEMS)
    def begin_and_hold(self, system: str) -> Any:
        """Two workers of one draft, the first of them late, as often as chance has it."""
        pk = self.begin_a_draft(system)
        if pk not in self.known:
            return multiple()
        late = self.hold(pk)
        self.number(late)
        self.lease_runs_out(pk)
        return multiple(late, self.hold(pk))

    @rule(pk=rows)
    def lease_runs_out(self, pk: int) -> None:
        Release.objects.filter(pk=pk).update(lease_until=Now() - timedelta(seconds=1))
        self.known[pk].is_held = False

    @rule(mine=workers)
    def beat(self, mine: Release) -> None:
        known = self.known[mine.pk]
        if (known.status, known.fence) != (DRAFT, mine.fence):
            with pytest.raises(LeaseLost):
                mine.beat()
        else:
            mine.beat()
            known.is_held = True

    @rule(mine=workers)
    def let_go(self, mine: Release) -> None:
        mine.let_go()
        if self.known[mine.pk].fence == mine.fence:
            self.known[mine.pk].is_held = False

    @rule(mine=workers)
    def number(self, mine: Release) -> None:
        known = self.known[mine.pk]
        mine.reread()
        mine.number()
        if known.sequence is None:
            others = [k.sequence or 0 for k in self.known.values() if k.system == known.system]
            known.sequence = max(others) + 1
        assert mine.sequence == known.sequence

    @rule(mine=workers, above=st.integers(0, 5))
    def number_again(self, mine: Release, above: int) -> None:
        known = self.known[mine.pk]
        mine.reread()
        if known.sequence is not None and known.sequence > above:
            mine.number_again(above=above)
        elif (known.status, known.fence) != (DRAFT, mine.fence):
            with pytest.raises(LeaseLost):
                mine.number_again(above=above)
        else:
            others = [k.sequence or 0 for k in self.known.values() if k.system == known.system]
            known.sequence = max(*others, above) + 1
            mine.number_again(above=above)
        assert mine.sequence == known.sequence

    @rule(mine=workers)
    def publish(self, mine: Release) -> None:
        known = self.known[mine.pk]
        if (known.status, known.fence) != (DRAFT, mine.fence):
            assert not mine.publish(at=NOW), "a late worker publishes nothing"
        elif known.sequence is None:
            with pytest.raises(IntegrityError), transaction.atomic():
                mine.publish(at=NOW)
        else:
            self.counted += 1
            assert mine.publish(at=NOW + timedelta(seconds=self.counted))
            known.status, known.order = PUBLISHED, self.counted
            self.heads[known.system] = mine.pk

    @rule(mine=workers)
    def fail_as_holder(self, mine: Release) -> None:
        known = self.known[mine.pk]
        may = (known.status, known.fence) == (DRAFT, mine.fence)
        assert mine.fail_as_holder("broke", at=NOW) == may
        if may:
            known.status = ReleaseStatus.FAILED

    @rule(pk=rows)
    def cancel(self, pk: int) -> None:
        known = self.known[pk]
        assert Release.objects.get(pk=pk).cancel("no", at=NOW) == (known.status == DRAFT)
        if known.status == DRAFT:
            known.status = ReleaseStatus.CANCELLED

    @rule(pk=rows)
    def reopen(self, pk: int) -> None:
        known, row = self.known[pk], Release.objects.get(pk=pk)
        if known.status not in ENDED or self._drafts(known.system):
            with pytest.raises(NotAllowed):
                row.reopen()
        else:
            row.reopen()
            known.status = DRAFT

    @rule(pk=rows)
    def withdraw(self, pk: int) -> None:
        known = self.known[pk]
        assert Release.objects.get(pk=pk).withdraw("bad", at=NOW) == (known.status == PUBLISHED)
        if known.status != PUBLISHED:
            return
        known.status = WITHDRAWN
        if self.heads[known.system] == pk:
            left = {
                each.order: other
                for other, each in self.known.items()
                if (each.system, each.status) == (known.system, PUBLISHED)
            }
            if left:
                self.heads[known.system] = left[max(left)]
            else:
                del self.heads[known.system]

    @rule(pk=rows)
    def take_the_head(self, pk: int) -> None:
        known, row = self.known[pk], Release.objects.get(pk=pk)
        if known.status != PUBLISHED:
            with pytest.raises(NotAllowed), transaction.atomic():
                row.take_the_head(at=NOW)
        else:
            row.take_the_head(at=NOW)
            self.heads[known.system] = pk

    @invariant()
    def rows_say_what_the_model_says(self) -> None:
        rows = {row.pk: row for row in Release.objects.all()}
        for pk, known in self.known.items():
            said = (rows[pk].status, rows[pk].sequence, rows[pk].fence)
            assert said == (known.status, known.sequence, known.fence)

    @invariant()
    def heads_name_published_releases_and_no_others(self) -> None:
        found = {head.system: head.release for head in Head.objects.select_related("release")}
        assert {system: release.pk for system, release in found.items()} == self.heads
        assert all(release.status == PUBLISHED for release in found.values())

    @invariant()
    def numbers_are_given_once(self) -> None:
        for system in System:
            numbers = list(_numbers(system))
            assert len(numbers) == len(set(numbers))


def _numbers(system: str) -> Iterator[int]:
    rows = Release.objects.filter(system=system).exclude(sequence=None)
    yield from (row.sequence for row in rows if row.sequence is not None)


@pytest.mark.django_db
def test_releases_stay_what_they_should_whatever_is_done_to_them() -> None:
    run_state_machine_as_test(Releases, settings=RUNS)
