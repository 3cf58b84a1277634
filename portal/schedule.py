"""The static ticks; each channel's own weekly slot is on its row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery.schedules import crontab

TICKS: dict[str, dict[str, Any]] = {
    "schedule": {"task": "schedule", "schedule": timedelta(minutes=1)},
    "reconcile": {"task": "reconcile", "schedule": timedelta(minutes=1)},
    "collect": {"task": "collect", "schedule": crontab(hour="4", minute="20")},
    # Each time a few minutes of it, so that nothing waits for it; every file once a week.
    "scrub": {"task": "scrub", "schedule": crontab(minute="40")},
}
