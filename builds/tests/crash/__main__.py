"""`python -m builds.tests.crash`: the matrix in several lanes at once, and the table of it."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from builds.tests import s3
from builds.tests.crash import matrix
from builds.tests.crash.matrix import KILLS, Case, Result
from builds.tests.s3 import free_port

ROOT = Path(__file__).parents[3]


class Lanes:
    """So many worlds at once; each takes the next case when it has played one."""

    def __init__(self, folder: Path, database: str, server: s3.Server | None) -> None:
        self._folder = folder
        self._database = database
        self._server = server
        self.results: list[Result] = []

    def play(self, cases: list[Case], lanes: int, until: float) -> list[Result]:
        """Every case's result, in no order; cases not begun at `until` are left out."""
        waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
        for case in cases:
            waiting.put(case)
        threads = [
            threading.Thread(target=self._lane, args=[number, waiting, until])
            for number in range(min(lanes, len(cases)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.results

    def _lane(self, number: int, waiting: queue.SimpleQueue[Case], until: float) -> None:
        folder = Path(tempfile.mkdtemp(prefix="l", dir=self._folder))
        folder.chmod(0o711)  # PostgreSQL runs as a user of its own
        bucket = self._bucket_for(number)
        words = [str(folder), self._database, str(free_port()), json.dumps(bucket)]
        with (folder / "errors").open("wb") as errors:
            lane = subprocess.Popen(
                [*_own_mounts(), sys.executable, "-m", "builds.tests.crash.lane", *words],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert lane.stdin is not None
        assert lane.stdout is not None
        with lane:
            if lane.stdout.readline().strip() != "ready":
                say(f"a lane can't start:\n{(folder / 'errors').read_text()}")
                return
            while time.monotonic() < until:
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    break
                lane.stdin.write(json.dumps(dataclasses.asdict(case)) + "\n")
                lane.stdin.flush()
                self._note(lane.stdout.readline(), case)
            lane.stdin.close()

    def _bucket_for(self, lane: int) -> dict[str, str]:
        if self._server is None:
            return {}
        name = f"crash{lane}"
        self._server.make_bucket(name)
        return {"port": str(self._server.port), "bucket": name}

    def _note(self, line: str, case: Case) -> None:
        if not line:
            self.results.append(Result(case, ["the lane ended"], 0, reached=False))
            return
        said = json.loads(line)
        result = Result(**{**said, "case": Case(**said["case"])})
        self.results.append(result)
        if result.wrong and not case.bug:
            say(f"RED {case}: {'; '.join(result.wrong)}")
        elif len(self.results) % 50 == 0:
            say(f"{len(self.results)} cases")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # a program's own words


def summary(results: list[Result]) -> str:
    """Counts in a sentence."""
    kills = sum(result.case.fault in KILLS for result in results)
    points = len({result.case.point for result in results if result.reached})
    red = sum(bool(result.wrong) for result in results)
    seconds = sum(result.seconds for result in results)
    return (
        f"{len(results)} cases ({kills} kills and pauses) at {points} points: {red} went wrong; "
        f"{seconds / max(len(results), 1):.1f} s a case"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=600)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1, help="decides the order of the cases")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--bucket", action="store_true", help="storage behind an S3 server")
    parser.add_argument("--bugs", action="store_true", help="the seeded bugs instead")
    parser.add_argument("--point", default="", help="only the points that contain this")
    parser.add_argument("--json", type=Path, help="write every result there")
    return parser.parse_args()


def bug_cases() -> list[Case]:
    from builds.tests.crash import bug_list  # only where it is wanted

    return [
        dataclasses.replace(case, bug=seeded)
        for bug, cases in bug_list.CASES.items()
        for case in cases
        for seeded in (bug, "")  # without the bug the same case must hold
    ]


def main() -> int:
    """Play what was asked for; 1 where something went wrong, or a bug was not caught."""
    asked = arguments()
    if asked.bugs:
        cases = bug_cases()
    else:
        every = matrix.cases(database=asked.database, bucket=asked.bucket, seed=asked.seed)
        cases = matrix.sample([case for case in every if asked.point in case.point], asked.kills)
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    folder.chmod(0o711)
    stack = contextlib.ExitStack()
    try:
        server = stack.enter_context(_s3_server(folder)) if asked.bucket else None
        lanes = Lanes(folder, asked.database, server)
        results = lanes.play(cases, asked.lanes, started + asked.minutes * 60)
        if any(result.wrong for result in results) and not asked.bugs:
            keep = Path(tempfile.mkdtemp(prefix="crash-logs-"))
            for log in folder.glob("*/log"):
                shutil.copy(log, keep / f"{log.parent.name}.log")
            say(f"the workers' logs are kept in {keep}")
    finally:
        stack.close()
        shutil.rmtree(folder, ignore_errors=True)
    if asked.json:
        asked.json.write_text(json.dumps([dataclasses.asdict(result) for result in results]))
    if asked.bugs:
        return _tell_bugs(results)
    print(matrix.table(results))
    print(f"\n{summary(results)}; {time.monotonic() - started:.0f} s in all, {asked.database}")
    return int(any(result.wrong for result in results) or len(results) < len(cases))


def _tell_bugs(results: list[Result]) -> int:
    caught: dict[str, list[str]] = {}
    sound = [result for result in results if not result.case.bug]
    for result in results:
        if not result.case.bug:
            continue
        caught.setdefault(result.case.bug, []).extend(
            f"{result.case}: {wrong}" for wrong in result.wrong if result.reached
        )
    print("| seeded bug | caught by |\n|---|---|")
    for bug, wrong in sorted(caught.items()):
        print(f"| {bug.replace('_', ' ')} | {wrong[0] if wrong else 'NOTHING'} |")
    return int(not all(caught.values()) or any(result.wrong for result in sound))


@contextlib.contextmanager
def _s3_server(folder: Path) -> Iterator[s3.Server]:
    (folder / "s3").mkdir()
    with s3.serving(folder / "s3") as server:
        yield server


def _own_mounts() -> list[str]:
    """Words before a lane, so that its small disk is mounted for it alone."""
    return (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    )


if __name__ == "__main__":
    sys.exit(main())
