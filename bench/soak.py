"""`python -m bench.soak [--hours 6] [--rate 20]`: what grows in the portal's programs as they work.

The shape of `bench.load`, and beat. Memory, open files and connections of each program are taken
every so often; after a warm-up of a fifth of the time a line is laid through them, and its slope
says what an hour adds.
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
from statistics import linear_regression

from bench import load, stack
from bench.ground import ground, option
from bench.turns import Row
from builds.tests import postgresql

PUBLISH_EVERY = 60.0
SAMPLES = 200  # at least 5 s apart
WARM_UP = 0.2
# An hour may add so much; whatever grows faster shows within a day.
MOST = {"memory": 2.0, "open files": 1.0, "connections": 1.0}
UNITS = {"memory": " MiB", "open files": "", "connections": ""}


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one program with all its processes: hours since the start, and what it held."""

    at: float
    held: dict[str, float]


def main() -> None:
    """Run, print the table, and end with an error where something grows."""
    hours, rate = option(sys.argv, "--hours", 6), option(sys.argv, "--rate", 20)
    with (
        postgresql.serving(load.POSTGRESQL) as server,
        ground(DATABASE_URL=f"{server}/postgres") as folder,
    ):
        from bench.report import Report

        report = Report()
        samples, errors = soak(folder, hours, rate)
        report.parts["soak"] = rows(samples, errors)
        report.show()
    sys.exit(any(row.meets == "missed" for row in report.parts["soak"]))


def soak(folder: Path, hours: float, rate: float) -> tuple[dict[str, list[Sample]], str]:
    """Samples by program, and what went wrong for those who read."""
    seconds = 3600 * hours
    taken: dict[str, list[Sample]] = {}
    with ExitStack() as opened:
        url, _ = opened.enter_context(load.shape(folder, 30, PUBLISH_EVERY))
        opened.enter_context(stack.beat(folder))
        reads = opened.enter_context(ThreadPoolExecutor(1))
        asking = reads.submit(load.ask, url, rate, seconds)
        begun = time.monotonic()
        while (elapsed := time.monotonic() - begun) < seconds:
            for name, pids in programs().items():
                sample = Sample(elapsed / 3600, held_by(pids))
                taken.setdefault(name, []).append(sample)
            print(f"  {elapsed:.0f} s", flush=True)
            time.sleep(max(5.0, seconds / SAMPLES))
        told = asking.result()
    return taken, load.errors_of(told)


def rows(taken: dict[str, list[Sample]], errors: str) -> list[Row]:
    """The table: what each program held at the end, and what an hour adds."""
    found: list[Row] = [
        Row("errors for those who read", errors or "0", "", "0", "missed" if errors else "met")
    ]
    for name, samples in taken.items():
        warm = samples[int(WARM_UP * len(samples)) :]
        for what, most in MOST.items():
            values = [sample.held[what] for sample in warm]
            hourly = slope(warm, what)
            unit = UNITS[what]
            found.append(
                Row(
                    f"{name}: {what}, more an hour",
                    f"{hourly:+.2f}{unit}",
                    f"{min(values):.0f} to {max(values):.0f}{unit}, {values[-1]:.0f} at the end",
                    f"< {most:.0f}{unit}",
                    "met" if hourly < most else "missed",
                )
            )
    return found


def slope(samples: list[Sample], what: str) -> float:
    """What an hour adds, by least squares."""
    if len(samples) < 2:
        return 0.0
    return linear_regression(
        [sample.at for sample in samples], [sample.held[what] for sample in samples]
    ).slope


def programs() -> dict[str, list[int]]:
    """The processes of each program that this one has started, by the program's name."""
    from deploy.child import descendants

    known = {"gunicorn": "web", "worker@": "worker", "default@": "short work", " beat ": "beat"}
    found: dict[str, list[int]] = {}
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for mark, name in known.items():
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
