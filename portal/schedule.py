"""The static ticks; each channel's own weekly slot is on its row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery.schedules import crontab

# A lease of 60 s and this make a dead worker's build lost within 75 s, and a flushed Redis is
# filled again within 15 s. A tick that nobody took before the next one is dropped.
RECONCILE_EVERY = timedelta(seconds=15)

TICKS: dict[str, dict[str, Any]] = {
    "schedule": {
        "task": "schedule",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "reconcile": {
        "task": "reconcile",
        "schedule": RECONCILE_EVERY,
        "options": {"expires": RECONCILE_EVERY.total_seconds()},
    },
    "notify": {
        "task": "notify",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "count-downloads": {
        "task": "count-downloads",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "pieces": {
        "task": "pieces",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "count-ended": {
        "task": "count-ended",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "check-mirrors": {
        "task": "check-mirrors",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 300},
    },
    "follow": {
        "task": "follow",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 300},
    },
    "collect": {"task": "collect", "schedule": crontab(hour="4", minute="20")},
    # Each time a few minutes of it, so that nothing waits for it; every file once a week.
    "scrub": {"task": "scrub", "schedule": crontab(minute="40")},
}
