"""One lane of the matrix: a world of its own, in which cases happen one after the other.

Reads cases as JSON lines from standard input and answers each with a JSON line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from builds.tests.crash.matrix import IN_TRANSACTION, Case, Result
from builds.tests.crash.world import MARK, World

DEADLINE = 60.0  # a case takes 3 s on a machine that is not busy otherwise
OUTAGE = 1.0
# Of a worker that has nothing left to do; Celery on a busy machine takes more than 10 s for it.
ENDS_WITHIN = 60.0
LOOK_EVERY = 0.4
PAUSE = 3.0  # seconds, longer than a lease
SLOT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def main(folder: Path, kind: str, port: int, s3: dict[str, str]) -> None:
    """Set up, then do what standard input says."""
    world = World(folder, kind, port=port, s3_port=int(s3["port"]) if s3 else None)
    try:
        _environment(world, s3)
        import django  # the environment comes first

        django.setup()
        from builds.tests.crash.lane_rows import Rows

        lane = Lane(world, Rows(world.folder), celery=kind == "celery")
        print("ready", flush=True)  # the controller reads it
        for line in sys.stdin:
            case = Case(**json.loads(line))
            try:
                result = lane.play(case)
            except Exception as error:  # noqa: BLE001 - one case less, and not the lane
                result = Result(case, [f"the lane failed: {error!r}"], 0, reached=False)
            print(json.dumps(dataclasses.asdict(result)), flush=True)
    finally:
        world.close()


def _environment(world: World, s3: dict[str, str]) -> None:
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "builds.tests.crash.settings",
            "DATA_DIR": str(world.folder / "data"),
            "DATABASE_URL": world.database.url,
            "REDIS_URL": f"redis+socket://{world.redis.socket}",
            "CRASH_STORAGE": str(world.disk.storage),
            "CRASH_LOG": str(world.folder / "log"),
            "TMPDIR": str(world.folder),
            "BUILD_RETRY_SECONDS": "1",
        }
    )
    if world.proxy is not None:
        os.environ["CRASH_BUCKET"] = s3["bucket"]
        os.environ["CRASH_S3"] = f"http://127.0.0.1:{world.proxy.port}"


@dataclass
class Process:
    """A worker and the socket on which it says that it has come to its point."""

    pid: int
    socket: socket.socket
    stop: Path | None  # the file that ends it; Celery's own workers take a signal
    ended: bool = False

    def reached(self, wait: float = 0.0) -> bool:
        """Whether it has come to its point."""
        ready, _, _ = select.select([self.socket], [], [], wait)
        return bool(ready) and self.socket.recv(1) == b"!"

    def go_on(self) -> None:
        self.socket.sendall(b".")

    def gone(self) -> bool:
        if not self.ended:
            self.ended = os.waitpid(self.pid, os.WNOHANG)[0] != 0
        return self.ended

    def end(self) -> None:
        """Let it end after what it is doing."""
        if self.stop:
            self.stop.touch()
        elif not self.gone():
            os.kill(self.pid, signal.SIGTERM)

    def wake(self) -> None:
        """Let it go on after a pause, and end then."""
        self.end()
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all that it consists of."""
        (os.kill if self.stop else os.killpg)(self.pid, number)

    def kill(self) -> None:
        if not self.gone():
            self.signal(signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.ended = True
        self.socket.close()


class Lane:
    """Plays cases in its world."""

    def __init__(self, world: World, rows: Rows, *, celery: bool) -> None:  # type: ignore[name-defined]  # noqa: F821
        self._celery = celery
        self._world = world
        self._rows = rows
        self._number = 0
        self._processes: list[Process] = []

    def play(self, case: Case) -> Result:
        """Disturb one release, let it come to its end, and look at everything."""
        self._number += 1
        started = time.monotonic()
        os.environ[MARK] = f"{self._world.folder}/{self._number}"
        self._rows.reset()
        wrong: list[str] = []
        victim = self._fork(case, case.point, case.nth, _act(case))
        reached = False
        try:
            reached = self._until(
                lambda: victim.reached() or (self._rows.ended() and victim.reached(0.3)), wrong
            )
            if reached:
                self._disturb(case, victim, wrong)
        finally:
            for process in self._processes:
                process.kill()
        wrong += self._rows.left_running(os.environ[MARK])
        self._processes.clear()
        if not reached:
            wrong.append("the point was not reached")
        if wrong:
            with (self._world.folder / "log").open("a") as log:
                log.write(f"=== {case}: {wrong}\n")
        return Result(case, sorted(set(wrong)), round(time.monotonic() - started, 2), reached)

    def _disturb(self, case: Case, victim: Process, wrong: list[str]) -> None:
        match case.fault:
            case "kill":
                self._finish(case, wrong)
            case "stop":
                if self._world.database.locks and case.point in IN_TRANSACTION:
                    self._until(lambda: False, wrong, PAUSE)
                else:
                    self._finish(case, wrong)
                self._wake(victim, wrong)
                self._finish(case, wrong)
            case "meet":
                self._meet(case, victim, wrong)
            case fault:
                with self._world.broken(fault):
                    victim.go_on()
                    self._until(lambda: False, [], OUTAGE)
                self._finish(case, wrong, victim)

    def _meet(self, case: Case, victim: Process, wrong: list[str]) -> None:
        """Wake the paused worker while the one that took over is at its own point."""
        other = self._fork(case, case.other, case.other_nth, "hold")
        self._until(lambda: other.reached() or self._rows.ended(), wrong)
        self._wake(victim, wrong)
        with contextlib.suppress(OSError):
            other.go_on()
        self._finish(case, wrong, other)

    def _wake(self, victim: Process, wrong: list[str]) -> None:
        """Let the paused worker do what it had begun, to its end."""
        victim.wake()
        if not self._until(victim.gone, wrong):
            wrong.append("the late worker does not come to an end")

    def _finish(self, case: Case, wrong: list[str], *workers: Process) -> None:
        """With one more worker, let the release come to its end; then look at everything."""
        crew = [*workers, self._fork(case)]
        self._until(self._rows.whole, wrong)
        for worker in crew:
            worker.end()
        for worker in crew:
            if not self._until(worker.gone, wrong, ENDS_WITHIN):
                wrong.append("a worker does not come to an end")
        wrong += self._rows.wrongs()

    def _until(
        self, condition: Callable[[], bool], wrong: list[str], most: float = DEADLINE
    ) -> bool:
        """Wait for a condition, reading meanwhile what everybody may read."""
        deadline = time.monotonic() + most
        look = tick = 0.0
        pause = 0.02
        while time.monotonic() < deadline:
            with contextlib.suppress(*self._rows.AWAY):
                if condition():
                    return True
                if self._celery and time.monotonic() > tick:
                    self._rows.tick()
                    tick = time.monotonic() + self._rows.TICK
                if time.monotonic() > look:  # every file is hashed
                    wrong += self._rows.torn()
                    look = time.monotonic() + LOOK_EVERY
            time.sleep(pause)
            pause = min(0.3, pause * 1.2)
        return False

    def _fork(self, case: Case, point: str = "", nth: int = 0, act: str = "") -> Process:
        ours, theirs = socket.socketpair()
        armed = (point, nth, act, theirs)
        if self._celery:
            stop = None
            pid = self._rows.start(case.bug, armed)
        else:
            stop = self._world.folder / f"stop-{self._number}-{len(self._processes)}"
            pid = self._rows.fork(case.bug, stop, armed)
        theirs.close()
        process = Process(pid, ours, stop)
        self._processes.append(process)
        return process


def _act(case: Case) -> str:
    return {"kill": "kill", "stop": "stop", "meet": "stop"}.get(case.fault, "hold")


if __name__ == "__main__":
    logging.disable(logging.NOTSET)
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
