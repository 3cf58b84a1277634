"""`make test`: what the tests need, then pytest with the terminal to itself."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from deploy import needs, setup, venv
from deploy.guards import ROOT, data_dir, refuse_if_full
from deploy.needs import Need
from deploy.run import set_up
from deploy.steps import environment
from deploy.supervisor import Stopped, Supervisor


def main(arguments: list[str]) -> int:
    """Set up, then become pytest; ARGS in the environment are handed to it."""
    folder = data_dir()
    refuse_if_full(ROOT)
    python = provide("test", needs.TEST, folder)
    words = shlex.split(os.environ.get("ARGS", ""))
    os.chdir(ROOT)
    # -B: byte code beside images/ would change the hash of the flake there.
    os.execv(python, [python, "-B", "-m", "pytest", *words])  # noqa: S606 - no shell is wanted


def crash(arguments: list[str]) -> int:
    """Set up as for the tests, then become the crash matrix; ARGS are handed to it."""
    folder = data_dir()
    refuse_if_full(ROOT)
    python = provide("test", needs.TEST, folder)
    words = shlex.split(os.environ.get("ARGS", ""))
    os.chdir(ROOT)
    os.execv(python, [python, "-m", "builds.tests.crash", *words])  # noqa: S606 - no shell is wanted


def bench(arguments: list[str]) -> int:
    """Set up what is measured and what it is measured against; ARGS name parts."""
    folder = data_dir()
    refuse_if_full(ROOT)
    python = provide("bench", needs.BENCH, folder)
    words = shlex.split(os.environ.get("ARGS", ""))
    os.chdir(ROOT)
    os.execv(python, [python, "-m", "bench", *words])  # noqa: S606 - no shell is wanted


def provide(group: str, wanted: tuple[Need, ...], folder: Path) -> str:
    """Install what tests or lint need; the Python that has it all."""
    with Supervisor(ROOT, environment(folder)) as supervisor:
        try:
            groups = [group] if setup.announce((*needs.PYTHON, *wanted)) else []
            if needs.missing(needs.PYTHON):
                groups.insert(0, "python")
            if group == "test":
                groups.append(setup.INPUTS)
            if groups:
                supervisor.finish(set_up(*groups))
            return venv.provide(supervisor, folder, "requirements-dev.txt")
        except Stopped:
            raise KeyboardInterrupt from None
