"""A data folder that is prepared once, and portals that run in copies of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builds.tests.embedded.starting import ROOT, Running, environment
from builds.tests.ports import free_port

Start = Callable[..., Running]
# A channel that nothing is built of at the first start: these tests are about processes.
QUIET_CATALOGUE = """
[channels.quiet]
title = "Nothing is built of it"
flake = "path:images/mini"
attribute = "packedOn.{host}.{system}.{variant}"
systems = ["x86_64-linux"]
variants = ["netboot"]
slot = "Sunday 03:00"
"""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a database, static files, a channel and an admin."""
    folder = tmp_path_factory.mktemp("prepared")
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(QUIET_CATALOGUE)
    for words in (["migrate"], ["loadcatalog", str(catalogue)], ["prepare"]):
        subprocess.run(
            [sys.executable, ROOT / "manage.py", *words],
            env=environment(folder, 1),
            check=True,
            capture_output=True,
        )
    return folder


@pytest.fixture
def data_dir(prepared: Path, tmp_path: Path) -> Path:
    """A prepared data folder of this test's own."""
    folder = tmp_path / "data"
    shutil.copytree(prepared, folder)
    return folder


@pytest.fixture
def start(data_dir: Path) -> Iterator[Start]:
    """Starts portals in this test's data folder; nothing of them outlives the test."""
    started: list[Running] = []

    def start_one(folder: Path = data_dir, port: int = 0, **settings: str) -> Running:
        running = Running(folder, port or free_port(), **settings)
        started.append(running)
        return running

    yield start_one
    for running in started:
        running.end()
