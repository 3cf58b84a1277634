"""One lane's servers: Redis, a database, a storage on a small disk or behind a proxy."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from builds.tests.crash.proxy import Mood, Proxy
from deploy.embedded_redis import program

DISK = "48m"
USER = "portal"


Words = list[str | Path]
MARK = "CRASH_MARK"  # in the environment of the workers and of all that they start


class Redis:
    """A valkey-server that holds nothing on disk: killed, it comes back empty."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self._folder = folder
        self._process = self._start()

    def lose(self, seconds: float) -> None:
        """Kill it; it comes back empty after so many seconds."""
        self.stop()
        time.sleep(seconds)
        self._process = self._start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        words = [
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        words += ["--dir", str(self._folder)]
        process = subprocess.Popen(
            [program(), *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_unmarked(),
        )
        wait_for(self.socket.exists)
        return process


class Sqlite:
    """A file; what takes it away is somebody who locks it for longer than anybody waits."""

    locks = True  # one writer's transaction keeps everybody else from writing

    def __init__(self, folder: Path) -> None:
        self._path = folder / "disk" / "portal.sqlite3"
        self.url = f"sqlite:///{self._path}"

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Lock it; where a paused worker holds the lock, as soon as that one goes on."""
        connection = sqlite3.connect(
            self._path, isolation_level=None, timeout=20, check_same_thread=False
        )
        lock = threading.Thread(target=connection.execute, args=["BEGIN EXCLUSIVE"])
        lock.start()
        lock.join(0.2)
        try:
            yield
        finally:
            lock.join()
            connection.execute("ROLLBACK")
            connection.close()

    def stop(self) -> None:
        pass


class Postgresql:
    """A server of its own; it is stopped without a checkpoint and started again."""

    locks = False

    def __init__(self, folder: Path, port: int, address: str = "127.0.0.1") -> None:
        self.address = address
        [*_, self._binaries] = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        self._folder = folder / "postgresql"
        self._folder.mkdir()
        self._port = port
        self._user: Words = []
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
            self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        make: Words = [*self._user, self._binaries / "initdb", "-D", self._folder / "data"]
        words = ["-U", USER, "-A", "trust", "--no-sync"]
        subprocess.run([*make, *words], check=True, capture_output=True)
        with (self._folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {address}/16 trust\n")
        self.url = f"postgres://{USER}@{address}:{port}/postgres"
        self._process = self._start()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self._process.send_signal(signal.SIGQUIT)  # an immediate shutdown
        self._process.wait()
        try:
            yield
        finally:
            self._process = self._start()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        options = [
            "-p",
            str(self._port),
            "-c",
            "fsync=off",
            "-c",
            f"listen_addresses={self.address}",
        ]
        options += ["-c", f"unix_socket_directories={self._folder}", "-c", "shared_buffers=16MB"]
        with (self._folder.parent / "postgresql.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._user, self._binaries / "postgres", "-D", self._folder / "data", *options],
                stdout=log,
                stderr=log,
                env=_unmarked(),
            )
        ask: Words = [
            self._binaries / "pg_isready",
            "-q",
            "-h",
            self.address,
            "-p",
            str(self._port),
        ]
        wait_for(lambda: subprocess.run([*ask, "-U", USER], check=False).returncode == 0)
        return process


class Disk:
    """A tmpfs in a mount namespace of this lane; it can be filled to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "disk"
        self.path.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={DISK}"]
        subprocess.run(["mount", *options, "crash", self.path], check=True)
        (self.path / "files").mkdir()
        self.storage = self.path / "storage"
        self._lead("files")

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Let the storage's folder lead to nowhere, as where a mount is missing."""
        self._lead("/nowhere/files")
        try:
            yield
        finally:
            self._lead("files")

    def _lead(self, target: str) -> None:
        new = self.path / "new"
        new.symlink_to(target)
        new.replace(self.storage)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        ballast = self.path / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(64 * 1024))
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(512))
        try:
            yield
        finally:
            ballast.unlink()


class World:
    """Everything that a worker talks to, and what may happen to it."""

    def __init__(self, folder: Path, kind: str, *, port: int, s3_port: int | None) -> None:
        self.folder = folder
        self.disk = Disk(folder)
        self.redis = Redis(folder)
        self.database = Postgresql(folder, port) if kind == "postgresql" else Sqlite(folder)
        self.proxy = Proxy(s3_port) if s3_port else None

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        """Let a fault be there for the length of the block."""
        with contextlib.ExitStack() as stack:
            if fault == "redis":
                self.redis.stop()
                stack.callback(self.redis.lose, 0)
            elif fault == "database":
                stack.enter_context(self.database.away())
            elif fault == "storage-gone":
                stack.enter_context(self.disk.gone())
            elif fault == "disk":
                stack.enter_context(self.disk.full())
            else:
                assert self.proxy is not None
                self.proxy.turn(Mood(fault.removeprefix("storage-")))
                stack.callback(self.proxy.turn, Mood.GOOD)
            yield

    def close(self) -> None:
        self.redis.stop()
        self.database.stop()


def _unmarked() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != MARK}


def wait_for(condition: object, seconds: float = 20.0) -> None:
    """Wait until a condition holds. Raises TimeoutError."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} did not come true within {seconds:g} s")
        time.sleep(0.02)
