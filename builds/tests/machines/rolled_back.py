"""Machines over rows: each run begins without any, and leaves none."""

from __future__ import annotations

from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine

# The long run of `make fuzz` raises it.
RUNS = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class RolledBack(RuleBasedStateMachine):
    """Every run is a transaction that is taken back; constraints are asked at every step."""

    def __init__(self) -> None:
        super().__init__()
        self._run = transaction.atomic()
        self._run.__enter__()
        self.begin()

    def begin(self) -> None:
        """Make the rows that every run starts from."""
        raise NotImplementedError

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._run.__exit__(None, None, None)
