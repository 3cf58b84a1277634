"""The rows and the pipeline on a real PostgreSQL: the same tests, run again over there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from builds.tests.postgresql import serving

SUITES = [
    *(f"builds/tests/{suite}" for suite in ("models", "pipeline", "notices", "retention", "audit")),
    "builds/tests/databases/races.py",
    "builds/tests/stats/test_counting.py",
    "builds/tests/tokens/test_once.py",
]
# What is no other over there: arithmetic of ten years, addresses, a page, a Hydra's answers, what
# Nix makes again, an image that boots, and a collect that dies at each of its writes: where it dies
# is said by the test, between two statements, and it takes minutes.
ELSEWHERE = (
    "bucket",
    "ten_years",
    "test_reach",
    "test_docs",
    "test_hydra_way",
    "test_reproduced",
    "killed_anywhere",
    "mini_image_of_a_folder_boots",
)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of an empty database of a server that ends with the module."""
    with serving() as server:
        yield f"{server}/postgres"


@pytest.mark.timeout(600)
def test_rows_and_pipeline_hold_on_postgresql(postgresql: str) -> None:
    assert run(postgresql, " and ".join(f"not {words}" for words in ELSEWHERE), *SUITES) > 350


def test_many_who_ask_at_once_get_one_release_on_postgresql(postgresql: str) -> None:
    assert run(postgresql, "one_release", "builds/tests/fleet") == 1


def run(database: str, chosen: str, *suites: str) -> int:
    """Run some tests over another database; how many passed, if none failed."""
    options = ["-q", "-p", "no:cacheprovider", "-k", chosen]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *suites],
        env=os.environ | {"DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    return int(passed[1])
