"""A sample of the crash matrix on both databases; `make crash` plays all of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from builds.tests.crash import bug_list, matrix
from builds.tests.crash.matrix import FAULTS, KILLS, STORAGE_FAULTS, WORLDS

pytestmark = pytest.mark.timeout(900)

# Of the seeded bugs, one of each kind; `--long` puts in all of them.
BUGS = (
    "publish_before_the_papers",
    "publish_in_two_steps",
    "send_once",
    "skip_the_fence",
    "write_in_place",
)


def play(tmp_path: Path, *words: str) -> list[dict[str, Any]]:
    """What the matrix, started as its users do, says of every case."""
    told = tmp_path / "results.json"
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "builds.tests.crash", "--json", told, *words],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.exists(), done.stderr
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    results: list[dict[str, Any]] = json.loads(told.read_text())
    return results


def test_broken_anywhere_a_release_is_published_once_and_whole(tmp_path: Path) -> None:
    results = play(tmp_path, "--kills", "60", "--faults", "24", "--lanes", "6")

    assert sum(result["case"]["fault"] in KILLS for result in results) == 60
    assert {result["case"]["world"] for result in results} == set(WORLDS)
    assert {result["case"]["fault"] for result in results} >= {*KILLS, *FAULTS, *STORAGE_FAULTS}
    assert not [result for result in results if result["wrong"]]


def test_every_bug_that_is_put_in_turns_the_matrix_red(tmp_path: Path, is_long: bool) -> None:
    wanted = tuple(bug_list.CASES) if is_long else BUGS

    results = play(tmp_path, "--bugs", *(word for bug in wanted for word in ("--bug", bug)))

    assert len(bug_list.CASES) >= 10
    caught = {result["case"]["bug"] for result in results if result["wrong"]}
    assert caught - {""} == set(wanted)


def test_every_point_in_the_code_is_in_the_matrix() -> None:
    folder = settings.BASE_DIR / "builds"
    named = {
        name
        for path in folder.rglob("*.py")
        if "tests" not in path.parts
        for name in re.findall(r'\bpoint\("([^"]+)"\)', path.read_text())
    }

    assert named == {*matrix.POINTS, *matrix.ELSEWHERE}
    assert len(named) >= 30
