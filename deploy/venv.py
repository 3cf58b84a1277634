"""The Python packages, in a virtual environment that is renewed when the requirements change."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deploy.guards import ROOT, is_writable
from deploy.steps import step
from deploy.supervisor import Supervisor
from deploy.terminal import say


class Venv:
    """The clone's .venv; where the clone can't be written to, one in the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = ROOT / ".venv" if is_writable(ROOT) else data_dir / "venv"
        self.python = str(self.folder / "bin" / "python")
        self._data_dir = data_dir
        self._stamp = self.folder / "installed.json"

    def provide(self, supervisor: Supervisor, requirements: str) -> None:
        """Have the packages of one requirements file installed; does nothing when they are."""
        wanted = _digests(requirements)
        with self._alone(supervisor):
            if self._works() and wanted.items() <= self._installed().items():
                return
            log = self._data_dir / "log" / "pip.log"
            if not self._works():
                make = (sys.executable, "-m", "venv", "--clear", str(self.folder))
                step(supervisor, "virtual environment", log, *make)
            self._stamp.unlink(missing_ok=True)  # an install that breaks off is done again
            pip = (self.python, "-m", "pip", "install", "--prefer-binary")
            step(supervisor, "Python packages", log, *pip, "-r", str(ROOT / requirements))
            self._stamp.write_text(json.dumps(wanted))

    def _works(self) -> bool:
        """Whether its Python runs and has pip: a moved clone or a broken set-up has not."""
        command = [self.python, "-c", "import pip"]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    def _installed(self) -> dict[str, str]:
        try:
            installed: dict[str, str] = json.loads(self._stamp.read_text())
        except (OSError, ValueError):
            return {}
        return installed

    @contextmanager
    def _alone(self, supervisor: Supervisor) -> Iterator[None]:
        """Keep `make run` and `make test` from installing into one folder at the same time."""
        with (self._data_dir / "run" / "venv.lock").open("w") as lock:
            if not _is_ours(lock):
                say("waits for another set-up of the Python packages to end")
                while not _is_ours(lock):
                    supervisor.turn()
            yield


def _is_ours(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _digests(name: str) -> dict[str, str]:
    """The digests of a requirements file and of those that it includes, by name."""
    text = (ROOT / name).read_text()
    digests = {name: hashlib.sha256(text.encode()).hexdigest()}
    for line in text.splitlines():
        if line.startswith("-r "):
            digests |= _digests(line.split()[1])
    return digests
