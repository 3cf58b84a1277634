"""`python -m builds.tests.crash`: the matrix in several lanes at once, and the table of it."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from builds.tests import s3
from builds.tests.crash import bug_list, matrix
from builds.tests.crash.lanes import Lanes, say
from builds.tests.crash.matrix import KILLS, WORLDS, Case, Result


def summary(results: list[Result]) -> str:
    """Counts in a sentence."""
    kills = sum(result.case.fault in KILLS for result in results)
    points = len({result.case.point for result in results if result.reached})
    red = sum(bool(result.wrong) for result in results)
    seconds = sum(result.seconds for result in results)
    return (
        f"{len(results)} cases ({kills} kills and pauses, {len(results) - kills} other faults) at "
        f"{points} points: {red} went wrong; {seconds / max(len(results), 1):.1f} s a case"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=600)
    parser.add_argument("--faults", type=int, default=200, help="how many other faults")
    parser.add_argument("--world", choices=WORLDS, action="append", help="only this one; repeat it")
    parser.add_argument("--lanes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1, help="decides the order of the cases")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--bugs", action="store_true", help="the seeded bugs instead")
    parser.add_argument("--bug", choices=bug_list.CASES, action="append", help="only this one")
    parser.add_argument("--point", default="", help="only the points that contain this")
    parser.add_argument("--json", type=Path, help="write every result there")
    return parser.parse_args()


def cases_for(asked: argparse.Namespace) -> list[Case]:
    """What was asked for."""
    if asked.bugs:
        bugs = bug_cases(asked.bug or bug_list.CASES)
        return [case for case in bugs if case.world in (asked.world or WORLDS)]
    chosen = matrix.in_worlds(
        asked.world or WORLDS, kills=asked.kills, faults=asked.faults, seed=asked.seed
    )
    return [case for case in chosen if asked.point in case.point]


def bug_cases(bugs: Iterable[str]) -> list[Case]:
    """Each bug at its places; and the same cases without it, which must hold, each once."""
    seeded = [dataclasses.replace(case, bug=bug) for bug in bugs for case in bug_list.CASES[bug]]
    return seeded + list({dataclasses.replace(case, bug="") for case in seeded})


def main() -> int:
    """Play what was asked for; 1 where something went wrong, or a bug was not caught."""
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    cases = cases_for(asked)
    started = time.monotonic()
    with _folder() as folder, contextlib.ExitStack() as stack:
        wants_bucket = any(case.world == "bucket" for case in cases)
        server = stack.enter_context(_s3_server(folder)) if wants_bucket else None
        lanes = Lanes(folder, server)
        stack.callback(lanes.stop)
        results = lanes.play(cases, asked.lanes, started + asked.minutes * 60)
        if any(result.wrong and not result.case.bug for result in results):
            _keep_logs(folder)
    if asked.json:
        asked.json.write_text(json.dumps([dataclasses.asdict(result) for result in results]))
    if asked.bugs:
        return _tell_bugs(results)
    print(matrix.table(results))
    print(f"\n{summary(results)}; {time.monotonic() - started:.0f} s in all, {asked.lanes} lanes")
    return int(any(result.wrong for result in results) or len(results) < len(cases))


def _tell_bugs(results: list[Result]) -> int:
    caught: dict[str, list[str]] = {}
    sound = [result for result in results if not result.case.bug]
    for result in results:
        if result.case.bug:
            caught.setdefault(result.case.bug, []).extend(
                f"{result.case} | {wrong}" for wrong in result.wrong if result.reached
            )
    print("| bug | case | what was seen |\n|---|---|---|")
    for bug, wrong in sorted(caught.items()):
        print(f"| {bug.replace('_', ' ')} | {wrong[0] if wrong else 'NOTHING'} |")
    return int(not all(caught.values()) or any(result.wrong for result in sound))


def _keep_logs(folder: Path) -> None:
    keep = Path(tempfile.mkdtemp(prefix="crash-logs-"))
    for log in [*folder.glob("l*/log"), *folder.glob("l*/errors"), *folder.glob("s3/log")]:
        shutil.copy(log, keep / f"{log.parent.name}.{log.name}")
    say(f"the workers' logs are kept in {keep}")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _s3_server(folder: Path) -> Iterator[s3.Server]:
    (folder / "s3").mkdir()
    with s3.serving(folder / "s3") as server:
        yield server


if __name__ == "__main__":
    sys.exit(main())
