"""Load: how much of one kind of work waits and runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Load:
    """What waits for a worker and since when, what runs, and what runs with nobody there."""

    waiting: int = 0
    oldest_at: datetime | None = None
    running: int = 0
    abandoned: int = 0
