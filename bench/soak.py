"""`python -m bench.soak [--hours 6] [--rate 20]`: what grows in the portal's programs as they work.

The shape of `bench.load`. Memory, open files and connections of each program are taken every so
often; after a warm-up of a fifth of the time, the samples are parted into blocks, and a line is
laid through the blocks' medians. Its slope says what an hour adds, and its interval of 95% how
much that is worth: a goal is met where all of the interval is below it, missed where all of it is
above, and else not proven, as in a run that was too short. An hour or more is kept in
docs/performance.md; `--keep` keeps any.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median

from bench import load, production
from bench.ground import option
from bench.turns import Row

PUBLISH_EVERY = 60.0
SAMPLES = 400
LEAST_PAUSE = 5.0  # seconds between two of them
WARM_UP = 0.2
# Neighbouring samples are much alike, so that a line through all would seem surer than it is.
BLOCKS = 10
STUDENT = 2.306  # of 95% with BLOCKS - 2 degrees of freedom
# Words of a command line, and the program that it is of.
PROGRAMS = {
    "gunicorn": "web",
    "--queues build.": "build worker",
    "--queues check": "check worker",
    "--queues default": "short work",
    " beat ": "beat",
    "manage.py signer": "signer",
    "nginx: ": "nginx",
    "valkey-server": "Redis",
    "redis-server": "Redis",
    "postgres": "PostgreSQL",
}
# An hour may add so much; whatever grows faster shows within a day.
MOST = {"memory": 2.0, "open files": 1.0, "connections": 1.0}
UNITS = {"memory": " MiB", "open files": "", "connections": ""}


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one program with all its processes: hours since the start, what it held, who they were."""

    at: float
    held: dict[str, float]
    pids: frozenset[int] = frozenset()


def main() -> None:
    """Run, print the table, and end with an error where something grows."""
    hours, rate = option(sys.argv, "--hours", 6), option(sys.argv, "--rate", 20)
    with production.grounded() as folder:
        from bench.report import Report

        report = Report()
        samples, errors = soak(folder, hours, rate)
        report.parts["soak"] = rows(samples, errors, hours)
        report.show()
        if "--keep" in sys.argv or hours >= 1:
            report.keep()
    sys.exit(any(row.meets == "missed" for row in report.parts["soak"]))


def soak(folder: Path, hours: float, rate: float) -> tuple[dict[str, list[Sample]], str]:
    """Samples by program, and what went wrong for those who read."""
    seconds = 3600 * hours
    taken: dict[str, list[Sample]] = {}
    with ExitStack() as opened:
        url, publishing = opened.enter_context(load.shape(folder, 0, PUBLISH_EVERY))
        reads = opened.enter_context(ThreadPoolExecutor(1))
        asking = reads.submit(load.ask, url, rate, seconds)
        begun = time.monotonic()
        while (elapsed := time.monotonic() - begun) < seconds:
            for name, pids in programs().items():
                sample = Sample(elapsed / 3600, held_by(pids), frozenset(pids))
                taken.setdefault(name, []).append(sample)
            assert publishing.poll() is None, "the publisher broke off"
            time.sleep(max(LEAST_PAUSE, seconds / SAMPLES))
        told = asking.result()
    return taken, load.errors_of(told)


def rows(taken: dict[str, list[Sample]], errors: str, hours: float) -> list[Row]:
    """The table: what an hour adds to each program, and between what it was."""
    said = f"{60 * hours:.0f} minutes: errors for those who read"
    found: list[Row] = [Row(said, errors or "0", "", "0", "missed" if errors else "met")]
    for name, samples in taken.items():
        warm = samples[int(WARM_UP * len(samples)) :]
        for what, most in MOST.items():
            values = [sample.held[what] for sample in warm]
            hourly, error = slope([(sample.at, sample.held[what]) for sample in warm])
            unit = UNITS[what]
            found.append(
                Row(
                    f"{name}: {what}, more an hour",
                    f"{hourly:+.2f} ± {error:.2f}{unit}",
                    f"{min(values):.0f} to {max(values):.0f}{unit}, {values[-1]:.0f} at the end",
                    f"< {most:.0f}{unit}",
                    judged(hourly, error, most),
                )
            )
        came = _came(warm)
        if came:  # what a program has let go of by ending is no proof of anything
            found.append(Row(f"{name}: processes that came meanwhile", str(came), ""))
    return found


def slope(points: list[tuple[float, float]]) -> tuple[float, float]:
    """What an hour adds, and half of the interval that has it with 95%; (hours, value) in order."""
    size = len(points) // BLOCKS
    if not size:
        return 0.0, float("inf")
    points = points[-size * BLOCKS :]
    blocks = [points[at : at + size] for at in range(0, len(points), size)]
    times = [median(at for at, _ in block) for block in blocks]
    values = [median(value for _, value in block) for block in blocks]
    line = linear_regression(times, values)
    middle = sum(times) / BLOCKS
    off = sum(
        (value - line.slope * at - line.intercept) ** 2
        for at, value in zip(times, values, strict=True)
    )
    spread = sum((at - middle) ** 2 for at in times)
    return line.slope, STUDENT * (off / (BLOCKS - 2) / spread) ** 0.5


def judged(hourly: float, error: float, most: float) -> str:
    """Whether so much more an hour is less than the most that it may be."""
    if hourly + error < most:
        return "met"
    return "missed" if hourly - error >= most else "not proven by a run of this length"


def _came(samples: list[Sample]) -> int:
    """Processes that were not there in the first sample."""
    return len(frozenset[int]().union(*(sample.pids for sample in samples)) - samples[0].pids)


def programs() -> dict[str, list[int]]:
    """The processes of each program that this one has started, by the program's name."""
    from deploy.child import descendants

    found: dict[str, list[int]] = {}
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for mark, name in PROGRAMS.items():
                if mark in words:
                    found.setdefault(name, []).append(pid)
                    break
    return found


def held_by(pids: list[int]) -> dict[str, float]:
    """MiB that are these processes' own, their open files, and those of them that are sockets."""
    own, files, sockets = 0.0, 0, 0
    for pid in pids:
        with suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            own += sum(int(line.split()[1]) for line in text.splitlines() if "Private_" in line)
        for target in _open_files(pid):
            files += 1
            sockets += target.startswith("socket:")
    return {"memory": own / 1024, "open files": files, "connections": sockets}


def _open_files(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(entry.readlink())


if __name__ == "__main__":
    main()
