"""A fleet over this test's rows, and channels of tiny flakes for it to build."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.tests.fleet.fleet import Fleet
from builds.tests.pipeline.conftest import make_channel

__all__ = ["fleet", "make_channel"]


@pytest.fixture
def fleet(database_url: str, release_keys: Path, tmp_path: Path) -> Iterator[Fleet]:
    """Nothing runs yet but the signer, and an empty Redis that keeps nothing."""
    shutil.copytree(release_keys, tmp_path / "keys")
    started = Fleet(tmp_path, database_url)
    yield started
    started.end()
