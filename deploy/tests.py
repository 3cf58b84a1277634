"""`make test`: what the tests need, then pytest with the terminal to itself."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from deploy import needs, node, setup, venv
from deploy.guards import ROOT, data_dir, refuse_if_full
from deploy.needs import Need
from deploy.run import set_up
from deploy.steps import environment
from deploy.supervisor import Stopped, Supervisor

_IN_ORDER = "--no-loadscope-reorder"


def main(arguments: list[str]) -> int:
    """Set up, then become pytest; ARGS in the environment are handed to it."""
    folder = data_dir()
    refuse_if_full(ROOT)
    python = provide("test", needs.TEST, folder)
    words = shlex.split(os.environ.get("ARGS", "")) or _side_by_side()
    os.chdir(ROOT)
    # Byte code beside images/ would change the hash of the flake there; with none, each of the
    # hundreds of programs that are started compiles the whole portal again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    os.execv(python, [python, "-m", "pytest", *words])  # noqa: S606 - no shell is wanted


def _side_by_side() -> list[str]:
    """Words for pytest where all tests are run; conftest.py says which stay together."""
    return [f"--numprocesses={min(4, os.cpu_count() or 1)}", "--dist=loadscope", _IN_ORDER]


def crash(arguments: list[str]) -> int:
    """Set up as for the tests, then become the crash matrix; ARGS are handed to it."""
    return _become("builds.tests.crash")


def fuzz(arguments: list[str]) -> int:
    """Set up as for the tests, then become the run of mutated inputs; ARGS are handed to it."""
    folder = data_dir()
    refuse_if_full(ROOT)
    python = provide("test", needs.TEST, folder)
    words = shlex.split(os.environ.get("ARGS", ""))
    os.chdir(ROOT)
    os.execv(python, [python, "-m", "builds.tests.mutated", *words])  # noqa: S606 - no shell is wanted


def bench(arguments: list[str]) -> int:
    """Set up what is measured and what it is measured against; ARGS name parts."""
    return _become("bench", "bench", needs.BENCH)


def load(arguments: list[str]) -> int:
    """The same, then read at a fixed rate from the portal in production's shape."""
    return _become("bench.load", "bench", needs.BENCH)


def soak(arguments: list[str]) -> int:
    """The same, then watch for hours what grows."""
    return _become("bench.soak", "bench", needs.BENCH)


def screenshots(arguments: list[str]) -> int:
    """Set up as for the tests, then take a picture of every page."""
    return _become("builds.tests.shown.screenshots")


def lighthouse(arguments: list[str]) -> int:
    """Set up as for the tests, then measure the first page and a release with Lighthouse."""
    return _become("builds.tests.shown.lighthouse")


def _become(module: str, group: str = "test", wanted: tuple[Need, ...] = needs.TEST) -> int:
    folder = data_dir()
    refuse_if_full(ROOT)
    python = provide(group, wanted, folder)
    os.chdir(ROOT)
    words = shlex.split(os.environ.get("ARGS", ""))
    os.execv(python, [python, "-m", module, *words])  # noqa: S606 - no shell


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
            if group == "test":
                node.install(supervisor, folder)
            return venv.provide(supervisor, folder, "requirements-dev.txt")
        except Stopped:
            raise KeyboardInterrupt from None
