"""The static ticks; each channel's own weekly slot is on its row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

TICKS: dict[str, dict[str, Any]] = {
    "schedule": {"task": "schedule", "schedule": timedelta(minutes=1)},
    "reconcile": {"task": "reconcile", "schedule": timedelta(minutes=1)},
    "notify": {"task": "notify", "schedule": timedelta(minutes=1)},
}
