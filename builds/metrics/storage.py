"""What the storage keeps."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.metrics_core import Metric

from builds.metrics.families import plain
from builds.web.kept import found as kept


def storage() -> Iterator[Metric]:
    """Bytes and files, and how long ago the file was hashed that waits longest for it."""
    found, at = kept(), timezone.now()
    yield plain("portal_storage_bytes", "Bytes of all files that are kept.", found["bytes"])
    yield plain("portal_storage_artifacts", "Files that are kept.", found["files"])
    times = [time for time in (found["oldest"], found["unread"]) if time is not None]
    if times:
        yield plain(
            "portal_scrub_age_seconds",
            "Seconds since the file was hashed again, or published, that waits longest.",
            (at - min(times)).total_seconds(),
        )
