"""A portal whose whole process tree is killed in mid-build goes on by itself when it is started."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builds.tests.builders.flakes import NETBOOT, Flake, attribute
from builds.tests.embedded.conftest import Start
from builds.tests.embedded.starting import ROOT, Running, environment
from builds.tests.pipeline.conftest import TARBALL, VERSION

CATALOGUE = """
[channels.slow]
title = "Takes a while"
flake = "{ref}"
attribute = '{attribute}'
systems = ["{system}"]
variants = ["netboot", "kexec-installer"]
slot = "Sunday 03:00"
"""
SYSTEM = f"{os.uname().machine}-linux"
SETTINGS = {"LEASE_SECONDS": "8", "HEARTBEAT_SECONDS": "2", "NIX_OFFLINE": "true"}


@pytest.fixture
def slow_channel(data_dir: Path, tmp_path: Path) -> None:
    """A channel of two builds, which keep both places of the embedded worker busy for a while."""
    scripts = {"netboot": NETBOOT, "kexec-installer": TARBALL}
    images = {name: f"run sleep 12\n{script}" for name, script in scripts.items()}
    flake = Flake(tmp_path / "flake", images, versions=dict.fromkeys(images, VERSION)).write()
    catalogue = tmp_path / "catalogue.toml"
    text = CATALOGUE.format(ref=flake.ref, attribute=attribute("{variant}"), system=SYSTEM)
    catalogue.write_text(text)
    manage(data_dir, "loadcatalog", str(catalogue))
    # Loading completes the checks of every channel, and these images boot nothing.
    with sqlite3.connect(data_dir / "portal.sqlite3") as database:
        database.execute("UPDATE builds_channel SET checks = '[]' WHERE name = 'slow'")
    database.close()


def manage(data_dir: Path, *words: str) -> None:
    command: list[str | Path] = [sys.executable, ROOT / "manage.py", *words]
    subprocess.run(command, env=environment(data_dir, 1), check=True, capture_output=True)


def ask(portal: Running, question: str) -> list[tuple[Any, ...]]:
    """What the portal's database says."""
    with sqlite3.connect(portal.data_dir / "portal.sqlite3", timeout=20) as database:
        answer = database.execute(question).fetchall()
    database.close()
    return answer


def running(portal: Running, attempt: int) -> int:
    question = f"SELECT 1 FROM builds_build WHERE status = 'running' AND attempt = {attempt}"
    return len(ask(portal, question))


@pytest.mark.usefixtures("slow_channel")
def test_portal_killed_in_mid_build_finishes_its_release_by_itself(
    start: Start, data_dir: Path
) -> None:
    portal = start(**SETTINGS)
    portal.wait_until_up()
    manage(data_dir, "trigger", "slow")
    portal.wait_until("two builds", lambda: running(portal, 1) == 2)
    served = {tuple(json.loads(row[0])) for row in ask(portal, "SELECT queues FROM builds_worker")}
    assert ("default",) in served
    assert any("check" in queues and "default" not in queues for queues in served)

    for pid in portal.processes():
        os.kill(pid, signal.SIGKILL)
    portal.process.wait()
    portal.wait_until("empty process table", lambda: not portal.processes(), within=10)
    again = start(port=portal.port, **SETTINGS)

    again.wait_until("second attempts", lambda: running(again, 2) == 2)
    status = "SELECT status FROM builds_release"
    again.wait_until("release", lambda: ask(again, status) == [("published",)])
    lost = ask(again, "SELECT COUNT(*) FROM builds_build WHERE status = 'lost'")
    assert lost == [(2,)]
