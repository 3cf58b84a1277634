"""The Python packages, in a virtual environment that is renewed when the requirements change."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deploy.guards import ROOT, is_writable
from deploy.steps import step
from deploy.supervisor import Supervisor
from deploy.terminal import say


def provide(supervisor: Supervisor, data_dir: Path, requirements: str) -> str:
    """The Python that has the packages of a requirements file; installs what is missing.

    It lives in the clone's .venv; where the clone can't be written to, in the data folder.
    """
    wanted = _digests(requirements)
    with _alone(supervisor, data_dir):
        venv = Venv(ROOT / ".venv")
        if not venv.has(wanted) and not is_writable(ROOT):
            venv = Venv(data_dir / "venv")
        if not venv.has(wanted):
            venv.install(supervisor, wanted, data_dir / "log" / "pip.log")
    return venv.python


class Venv:
    """A folder of Python packages, and which requirements were installed into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = str(folder / "bin" / "python")
        self._stamp = folder / "installed.json"

    def has(self, wanted: Mapping[str, str]) -> bool:
        """Whether these requirements were installed, and still can be used."""
        return self.works() and wanted.items() <= self._installed().items()

    def install(self, supervisor: Supervisor, wanted: Mapping[str, str], log: Path) -> None:
        """Install the lock of the requirements, the first of which includes the others.

        Every file of every package has the SHA-256 that the lock says, or nothing is installed.
        """
        if not self.works():
            make = (sys.executable, "-m", "venv", "--clear", str(self.folder))
            step(supervisor, "virtual environment", log, *make)
        self._stamp.unlink(missing_ok=True)  # an install that breaks off is done again
        pip = (self.python, "-m", "pip", "install", "--prefer-binary")
        lock = str(ROOT / _lock(next(iter(wanted))))
        step(supervisor, "Python packages", log, *pip, "--require-hashes", "--no-deps", "-r", lock)
        self._stamp.write_text(json.dumps(wanted))

    def works(self) -> bool:
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
def _alone(supervisor: Supervisor, data_dir: Path) -> Iterator[None]:
    """Keep `make run` and `make test` from installing into one folder at the same time."""
    with (data_dir / "run" / "venv.lock").open("w") as lock:
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
    """The digests of a requirements file, of its lock and of those that it includes, by name."""
    text = (ROOT / name).read_text()
    digests = {
        each: hashlib.sha256((ROOT / each).read_bytes()).hexdigest() for each in (name, _lock(name))
    }
    for line in text.splitlines():
        if line.startswith("-r "):
            digests |= _digests(line.split()[1])
    return digests


def _lock(requirements: str) -> str:
    """The lock of a requirements file, which `make lock` writes; see deploy.lock."""
    return f"deploy/{Path(requirements).stem}.lock"
