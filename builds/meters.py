"""What each web process counts while it answers; `/metrics` adds the processes up.

Under gunicorn the numbers lie in files that all processes can read (PROMETHEUS_MULTIPROC_DIR, set
in deploy/gunicorn_settings.py before any process imports this); elsewhere in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# Seconds until an answer begins: pages take some 20 ms, what takes 10 s is broken.
LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

disable_created_metrics()  # a time beside every counter is of no use to Prometheus
_own = CollectorRegistry()

REQUESTS = Counter(
    "portal_http_requests",
    "Requests that were answered.",
    ["route", "method", "status"],
    registry=_own,
)
SECONDS = Histogram(
    "portal_http_request_seconds",
    "Seconds until an answer began.",
    ["route"],
    buckets=LATENCIES,
    registry=_own,
)
SENT = Counter(
    "portal_http_sent_bytes",
    "Bytes of answers that went out, without their headers; of those cut off what was sent.",
    ["kind"],
    registry=_own,
)
WATCHERS = Gauge(
    "portal_watchers",
    "Who watches a live log now.",
    multiprocess_mode="livesum",
    registry=_own,
)
WATCHERS_REFUSED = Counter(
    "portal_watchers_refused",
    "Who was asked to poll in place of watching, because WATCHERS_MOST watched already.",
    registry=_own,
)


class Meters:
    """All of the above, added up over the processes; a collector for prometheus_client."""

    def collect(self) -> Iterable[Metric]:
        """What was counted so far."""
        found: Iterable[Metric] = _own.collect()
        if FOLDER in os.environ:
            found = MultiProcessCollector(None).collect()
        return found
