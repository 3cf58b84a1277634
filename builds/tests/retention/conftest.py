"""Real files in a folder, or on a real S3 server that holds nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.storage import artifacts

# Of a release with a netboot: artifacts; sums and manifest, each with two signatures; the scripts
# that verify, and the signatures that iPXE verifies by.
FILES = 4 + 6 + 2 + 5


@pytest.fixture(params=["folder", "bucket"])
def storage_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both storages in turn, empty."""
    if request.param == "bucket":
        request.getfixturevalue("bucket")
    empty()
    yield str(request.param)
    empty()


def empty() -> None:
    """Delete every stored file."""
    for file in list(artifacts().walk("")):
        artifacts().delete(file.key)


def stored_keys() -> set[str]:
    """The keys of every stored file."""
    return {file.key for file in artifacts().walk("")}


def leave_from_last_week(path: Path) -> None:
    """Let a file look as if it was written a week ago."""
    then = path.stat().st_mtime - 7 * 24 * 3600
    os.utime(path, (then, then))
