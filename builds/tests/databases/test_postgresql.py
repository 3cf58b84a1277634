"""The rows and the pipeline on a real PostgreSQL: the same tests, run again over there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import free_port

SUITES = [
    *(f"builds/tests/{suite}" for suite in ("models", "pipeline", "notices", "retention", "audit")),
    "builds/tests/databases/races.py",
    "builds/tests/tokens/test_once.py",
]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of an empty database of a server that ends with the module."""
    [*_, binaries] = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    # The server refuses to run as root, and its user must reach its folder.
    folder = Path(tempfile.mkdtemp(prefix="portal-postgresql-"))
    as_user: list[str | Path] = [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
    ]
    if os.geteuid() != 0:
        as_user = []
    else:
        shutil.chown(folder, "postgres", "postgres")
    port = free_port()
    data = folder / "data"
    subprocess.run(
        [*as_user, binaries / "initdb", "-D", data, "-U", "portal", "-A", "trust", "--no-sync"],
        check=True,
        capture_output=True,
    )
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    command = [*as_user, binaries / "postgres", "-D", data, "-p", str(port), "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        wait = ["-h", "127.0.0.1", "-p", str(port), "-U", "portal"]
        for _ in range(100):
            if subprocess.run([binaries / "pg_isready", "-q", *wait], check=False).returncode == 0:
                break
            assert server.poll() is None, (folder / "log").read_text()
        yield f"postgres://portal@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder)


@pytest.mark.timeout(600)
def test_rows_and_pipeline_hold_on_postgresql(postgresql: str) -> None:
    # Ten years of weeks are the same arithmetic over there, and a minute longer.
    assert run(postgresql, "not bucket and not ten_years", *SUITES) > 40


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
