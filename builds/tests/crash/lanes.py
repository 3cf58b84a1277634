"""Several lanes at once: each is a program with a world of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from itertools import cycle, islice
from pathlib import Path
from typing import IO

from builds.tests import s3
from builds.tests.crash.matrix import SLOWEST_FIRST, WORLDS, Case, Result
from builds.tests.ports import free_port

ROOT = Path(__file__).parents[3]
Waiting = queue.SimpleQueue[Case]


class Lanes:
    """So many worlds; each takes the next case of its kind when it has played one."""

    def __init__(self, folder: Path, server: s3.Server | None) -> None:
        self._folder = folder
        self._server = server
        self._lanes: list[subprocess.Popen[str]] = []
        self.results: list[Result] = []

    def play(self, cases: list[Case], lanes: int, until: float) -> list[Result]:
        """Every case's result, in no order; cases not begun at `until` are left out.

        Each kind of world has one lane at least, and those whose cases take longest more.
        """
        waiting: dict[str, Waiting] = {}
        for case in cases:
            waiting.setdefault(case.world, queue.SimpleQueue()).put(case)
        kinds = [world for world in WORLDS if world in waiting]
        slowest_first = [world for world in SLOWEST_FIRST if world in waiting]
        kinds += islice(cycle(slowest_first), max(0, lanes - len(kinds)))
        threads = [
            threading.Thread(target=self._lane, args=[number, kind, waiting, until], daemon=True)
            for number, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.results

    def stop(self) -> None:
        """End what still plays; nothing of a lane outlives it."""
        for lane in self._lanes:
            lane.kill()
            lane.wait()

    def _lane(self, number: int, world: str, waiting: dict[str, Waiting], until: float) -> None:
        folder = Path(tempfile.mkdtemp(prefix="l", dir=self._folder))
        folder.chmod(0o711)  # PostgreSQL runs as a user of its own
        bucket = self._bucket_for(number) if world == "bucket" else {}
        with (folder / "errors").open("wb") as errors:
            lane = _start([str(folder), world, str(free_port()), json.dumps(bucket)], errors)
        self._lanes.append(lane)
        assert lane.stdin is not None
        assert lane.stdout is not None
        with lane:
            if lane.stdout.readline().strip() != "ready":
                say(f"a lane can't start:\n{(folder / 'errors').read_text()}")
                return
            while time.monotonic() < until and (case := _next(waiting[world])):
                lane.stdin.write(json.dumps(dataclasses.asdict(case)) + "\n")
                lane.stdin.flush()
                if not self._note(lane.stdout.readline(), case):
                    say(f"a lane ended:\n{(folder / 'errors').read_text()[-2000:]}")
                    return
            lane.stdin.close()

    def _bucket_for(self, lane: int) -> dict[str, str]:
        assert self._server is not None
        name = f"crash{lane}"
        self._server.make_bucket(name)
        return {"port": str(self._server.port), "bucket": name}

    def _note(self, line: str, case: Case) -> bool:
        if not line:
            self.results.append(Result(case, ["the lane ended"], 0, reached=False))
            return False
        said = json.loads(line)
        result = Result(**{**said, "case": Case(**said["case"])})
        self.results.append(result)
        if result.wrong and not case.bug:
            say(f"RED {case}: {'; '.join(result.wrong)}")
        elif len(self.results) % 50 == 0:
            say(f"{len(self.results)} cases")
        return True


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # a program's own words


def _next(waiting: Waiting) -> Case | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


def _start(words: list[str], errors: IO[bytes]) -> subprocess.Popen[str]:
    """A lane with mounts and processes of its own: its small disk, and an end to all of it."""
    own = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child=KILL"]
    if os.geteuid():
        own.insert(1, "--map-root-user")
    return subprocess.Popen(
        [*own, sys.executable, "-m", "builds.tests.crash.lane", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
