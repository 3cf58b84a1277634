"""Steps of the set-up: each one quiet line with its seconds, its output in a log."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from deploy.child import Service
from deploy.guards import ROOT
from deploy.supervisor import Supervisor
from deploy.terminal import Refused, say

TAIL = 8


def environment(data_dir: Path) -> dict[str, str]:
    """The environment of everything that is started."""
    return {
        **os.environ,
        "DATA_DIR": str(data_dir),
        "PYTHONUNBUFFERED": "1",
        # The embedded defaults run as whoever ran the command; Celery only takes JSON here.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }


def step(supervisor: Supervisor, title: str, log: Path, *command: str) -> None:
    """Run one step; raises Refused with the end of its log where it fails."""
    started = time.monotonic()
    begin = log.stat().st_size if log.exists() else 0
    code = supervisor.finish(Service(title, command, restarts=False, log=log))
    if code:
        with log.open("rb") as file:
            file.seek(begin)
            said = file.read().decode("utf-8", "replace").splitlines()
        for line in said[-TAIL:]:
            print(f"    {line}", file=sys.stderr, flush=True)
        raise Refused(f"{title}: failed with code {code}; everything it said is in {log}")
    say(f"{title}: {time.monotonic() - started:.0f} s")


def deploy(*arguments: str) -> tuple[str, ...]:
    """A command of this folder's own, run by the Python that runs us."""
    return (sys.executable, "-m", "deploy", *arguments)


def mini_inputs() -> tuple[str, ...]:
    """The command that puts the mini image's inputs into the Nix store."""
    return (sys.executable, "-B", str(ROOT / "images" / "mini" / "inputs.py"), "fetch")
