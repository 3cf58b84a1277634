"""Settings under which checks run to their verdict inside a test's own transaction."""

from __future__ import annotations

import pytest
from django.conf import LazySettings


@pytest.fixture(autouse=True)
def _no_beats(settings: LazySettings) -> None:
    """A beat has a connection of its own, which can't write beside the test's."""
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = 3600, 1800
