"""Two ways to the same end, in turns, and what they cost: ratios of pairs, their median and spread."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PRIORITY = -15


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock, and of CPU of this process and of all that it waited for."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `meets` is None where there is no goal."""

    what: str
    value: str
    spread: str
    goal: str = ""
    meets: bool | None = None


def cost_of(act: Callable[[], object]) -> Cost:
    """Do it once."""
    wall, cpu = time.perf_counter(), _cpu()
    act()
    return Cost(time.perf_counter() - wall, _cpu() - cpu)


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Cost]]:
    """Each way so many times: A B C, C B A, A B C, …; prints as it goes."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(rounds):
        names = list(ways) if number % 2 == 0 else list(ways)[::-1]
        for name in names:
            cost = cost_of(ways[name])
            costs[name].append(cost)
            print(f"  {name}: {cost.wall:.2f} s, {cost.cpu:.2f} s of CPU", flush=True)
    return costs


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """The ratio of each pair that was measured side by side."""
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def told(values: Sequence[float], form: Callable[[float], str]) -> tuple[str, str]:
    """Median, and the least and the most."""
    return form(statistics.median(values)), f"{form(min(values))} to {form(max(values))}"


def percent(ratio: float) -> str:
    """1.034 → +3.4%."""
    return f"{100 * (ratio - 1):+.1f}%"


def favour() -> None:
    """Go before what else runs on this machine, as far as one may.

    Linux groups processes by session for this, so that `nice` alone changes nothing between two
    terminals; every session that is measured says it for itself.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(PRIORITY))


def favoured(program: str, folder: Path) -> str:
    """A script that does the same and becomes the program: both ways call it."""
    script = folder / Path(program).name
    script.write_text(
        f"#!/bin/sh\n(echo {PRIORITY} > /proc/self/autogroup) 2>/dev/null\n"
        f'exec nice -n {PRIORITY} {program} "$@" 2>&2\n'
    )
    script.chmod(0o755)
    return str(script)


def _cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
