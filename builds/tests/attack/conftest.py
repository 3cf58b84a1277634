"""A site with a row of everything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from builds.tests.attack.site import Site, build_site


@pytest.fixture
def site(db: None, settings: LazySettings, tmp_path: Path) -> Site:
    """See Site."""
    return build_site(settings, tmp_path)


@pytest.fixture
def silence() -> Iterator[None]:
    """Hundreds of refusals need not be logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
