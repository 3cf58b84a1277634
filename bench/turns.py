"""Ways to the same end, in turns, and what they cost: ratios of pairs, median and spread."""

from __future__ import annotations

import os
import resource
import signal
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.child import descendants, die_with_parent

PRIORITY = -15


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock, and of CPU of this process and of all that it waited for."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `meets` is "" where there is no goal."""

    what: str
    value: str
    spread: str
    goal: str = ""
    meets: str = ""


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


def verdict(values: Sequence[float], below: float) -> str:
    """Whether a goal is met: for certain only where every turn has met it."""
    if statistics.median(values) >= below:
        return "missed"
    return "met" if max(values) < below else "met by the median alone, so not proven"


def at_least(values: Sequence[float], goal: float) -> str:
    """The same where more is better."""
    return verdict([-value for value in values], -goal)


def percent(ratio: float) -> str:
    """1.034 → +3.4%."""
    return f"{100 * (ratio - 1):+.1f}%"


def favour() -> None:
    """Let this and all that it starts go before what else runs here, as far as one may.

    Linux shares the processor among sessions first, so that `nice` changes nothing between two of
    them, and each builder program of Nix has a session of its own: a process beside this one goes
    round and says it for each. What it takes itself is not counted.
    """
    os.setpriority(os.PRIO_PROCESS, 0, PRIORITY if os.geteuid() == 0 else 0)
    measured = os.getpid()
    if os.fork():
        return
    die_with_parent(measured, signal.SIGKILL)
    known: set[int] = set()
    while True:
        for pid in set(descendants(measured)) - known:
            known.add(pid)
            with suppress(OSError):
                Path(f"/proc/{pid}/autogroup").write_text(str(PRIORITY))
        time.sleep(0.1)


def _cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
