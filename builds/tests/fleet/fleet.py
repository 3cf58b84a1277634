"""The real programs side by side over one database and one Redis: beats, workers, commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from kombu import Connection

from builds.tests.crash.world import Redis
from portal.celery import app

QUICK = {"LEASE_SECONDS": "6", "HEARTBEAT_SECONDS": "1"}
# A command that does its slow beginning first, and the rest when it is told to.
COMMAND = """
import sys
import django
django.setup()
from django.core.management import call_command
print("ready", flush=True)
sys.stdin.readline()
call_command(*sys.argv[1:])
"""


class Fleet:
    """Processes of one portal, its signer first; `end` leaves none behind.

    The folder holds the keys in `keys`. `chosen` are settings; with REDIS_URL no Redis is started.
    """

    def __init__(self, folder: Path, database_url: str, **chosen: str) -> None:
        self.folder = folder
        self._redis = None if "REDIS_URL" in chosen else Redis(folder)
        self.settings = {
            "DATABASE_URL": database_url,
            "REDIS_URL": f"redis+socket://{self._redis.socket}" if self._redis else "",
            "DATA_DIR": str(folder),
            "SECRET_KEY": settings.SECRET_KEY,
            "NIX_OFFLINE": "true",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            **chosen,
        }
        self._started: list[subprocess.Popen[str]] = []
        self.start(sys.executable, "manage.py", "signer")

    @property
    def redis(self) -> Redis:
        """Its own Redis."""
        assert self._redis is not None, "this fleet has somebody else's"
        return self._redis

    def beat(self) -> subprocess.Popen[str]:
        """A scheduler."""
        return self.celery("beat", "--pidfile=")

    def worker(self, name: str, *words: str, **chosen: str) -> subprocess.Popen[str]:
        """A worker; words are Celery's, keywords are settings."""
        hostname = ("--hostname", f"{name}@%h")
        return self.celery(
            "worker", *hostname, *words, "--without-mingle", "--without-gossip", **chosen
        )

    def builder(self, name: str, *words: str, **chosen: str) -> subprocess.Popen[str]:
        """A worker with one process that builds for this machine's system."""
        queue = f"build.{os.uname().machine}-linux"
        return self.worker(name, "--queues", queue, "--concurrency", "1", *words, **chosen)

    def default(self, name: str = "default", **chosen: str) -> subprocess.Popen[str]:
        """A worker for everything that is short, as `make run` starts it."""
        pool = ("--pool", "threads", "--concurrency", "8")
        return self.worker(name, "--queues", "default", *pool, **chosen)

    def celery(self, *words: str, **chosen: str) -> subprocess.Popen[str]:
        return self.start(sys.executable, "-m", "celery", "--app", "portal", *words, **chosen)

    def command(self, *words: str) -> subprocess.Popen[str]:
        """A `manage.py` command that waits for a line on its standard input."""
        return self.start(sys.executable, "-c", COMMAND, *words)

    def start(self, *words: str, **chosen: str) -> subprocess.Popen[str]:
        """Start a program whose output goes to this fleet's log."""
        with (self.folder / "fleet.log").open("a") as log:
            process = subprocess.Popen(
                words,
                cwd=settings.BASE_DIR,
                env=os.environ | self.settings | chosen,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if "-c" in words else log,
                stderr=log,
                text=True,
            )
        self._started.append(process)
        return process

    def deliver(self, task: str, *rows: int, queue: str = "default") -> None:
        """Hand a message to the workers."""
        with Connection(self.settings["REDIS_URL"]) as connection:
            app.send_task(task, args=rows, queue=queue, connection=connection)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill a process and all below it at once; none has time for a last word."""
        for pid in [process.pid, *below(process.pid)]:
            kill_one(pid)
        process.communicate()

    def end(self) -> None:
        for process in self._started:
            if process.returncode is None:
                self.kill(process)
        if self._redis is not None:
            self._redis.stop()

    @property
    def said(self) -> str:
        """The end of what all have said."""
        return (self.folder / "fleet.log").read_text(errors="replace")[-4000:]

    def wait_until(self, what: str, holds: Callable[[], object], within: float = 120) -> float:
        """Wait until something holds; after how many seconds it did."""
        started = time.monotonic()
        while not holds():
            passed = time.monotonic() - started
            assert passed < within, f"no {what} within {within:g} s:\n{self.said}"
            time.sleep(0.1)
        return time.monotonic() - started


def below(pid: int) -> list[int]:
    """The processes below one."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        parents[int(folder.name)] = _parent(int(folder.name))
    found: list[int] = []
    todo = [pid]
    while todo:
        above = todo.pop()
        children = [child for child, parent in parents.items() if parent == above]
        found += children
        todo += children
    return found


def kill_one(pid: int) -> None:
    """Kill a process, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
