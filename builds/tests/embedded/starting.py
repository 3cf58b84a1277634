"""Starts `make run`'s program as a user would, and looks at what it leaves in the process table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
COMMAND = (sys.executable, "-m", "deploy")


class Running:
    """`make run` in a data folder and at a port of its own, its output in a file."""

    def __init__(self, data_dir: Path, port: int, **settings_: str) -> None:
        self.data_dir = data_dir
        self.port = port
        self.output = data_dir.with_name(f"{data_dir.name}.output")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "run"],
                cwd=ROOT,
                env=environment(data_dir, port, **settings_),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """Everything that it has printed."""
        return self.output.read_text(errors="replace")

    def has_said(self, words: str) -> bool:
        """Whether it has printed these words."""
        return words in self.said

    def status_of(self, path: str) -> int:
        """The HTTP status that a path answers with; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_until(self, what: str, holds: Callable[[], object], within: float = 120) -> None:
        """Wait until something holds, or fail with what was printed."""
        deadline = time.monotonic() + within
        while not holds():
            assert time.monotonic() < deadline, f"no {what} within {within:g} s:\n{self.said}"
            time.sleep(0.1)

    def wait_until_up(self) -> None:
        """Wait until everything runs, the worker too."""
        self.wait_until("page", lambda: self.status_of("/healthz") == 200)
        self.wait_until("worker", lambda: " ready." in self.said)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the foreground group, as a terminal does, and wait for the end."""
        os.killpg(self.process.pid, number)
        self.process.wait(30)

    def processes(self) -> dict[int, str]:
        """The living processes of this data folder, by what they were started with."""
        mark = f"DATA_DIR={self.data_dir}\0".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes() + b"\0" and _lives(folder):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(folder.name)] = command
            except OSError:
                continue
        return found

    def pid_of(self, words: str) -> int:
        """The oldest process whose command has these words."""
        return min(pid for pid, command in self.processes().items() if words in command)

    def has(self, words: str) -> bool:
        """Whether a process lives whose command has these words."""
        return any(words in command for command in self.processes().values())

    def end(self) -> None:
        """Leave nothing behind, however the test went."""
        self.process.kill()
        self.process.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


def environment(data_dir: Path | str, port: int, **settings_: str) -> dict[str, str]:
    """The environment of a command that leaves the system alone."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "BIND", "ALLOWED_HOSTS", "PORTAL_URL"}
    }
    return {
        **inherited,
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "SKIP_SYSTEM": "1",
        **settings_,
    }


def run(port: int, data_dir: Path | str, *before: str, **settings_: str) -> tuple[int, str]:
    """The exit code and the output of a `make run` that ends by itself."""
    done = subprocess.run(
        [*before, *COMMAND, "run"],
        cwd=ROOT,
        env=environment(data_dir, port, **settings_),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def _lives(folder: Path) -> bool:
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
