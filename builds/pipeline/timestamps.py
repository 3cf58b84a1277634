"""The word of the signer on which release is the latest now: short-lived, so that a mirror that
stands still is told from a portal that merely has nothing new.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from django.conf import settings

from builds.models import Release
from builds.pipeline import documents
from builds.pipeline.canonical import canonical, instant

# It is made anew long before it is over: readers bear a signer that is away for days.
RENEWED_AFTER = timedelta(days=1)


def timestamp(release: Release, manifest: bytes, *, at: datetime) -> bytes:
    """What the signer says of a head, in canonical JSON; `manifest` is the release's own."""
    made_at = at.replace(microsecond=0)
    record = {
        "format": documents.MANIFEST_FORMAT,
        "channel": release.channel.name,
        "system": release.system,
        "version": release.version,
        "sequence": release.sequence,
        "manifest_sha256": documents.digest(manifest),
        "made_at": instant(made_at),
        "expires_at": instant(made_at + timedelta(days=settings.TIMESTAMP_EXPIRES_DAYS)),
    }
    return canonical(record)


def over_at(data: bytes | None) -> datetime | None:
    """When a timestamp is over; None where there is none."""
    return datetime.fromisoformat(json.loads(data)["expires_at"]) if data else None
