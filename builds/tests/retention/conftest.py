"""Real files in a folder, or on a real S3 server that holds nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builds.storage import artifacts


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
