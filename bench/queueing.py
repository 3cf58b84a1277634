"""A simulation of the queues of builds: weekly slots, builds of varying length, few workers."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import log
from statistics import NormalDist

WEEK = 7 * 24 * 3600.0
P95 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds of a build by its median and by what 95 of 100 stay below: a log-normal law."""

    median: float
    p95: float

    def draw(self, chance: random.Random) -> float:
        """The length of one build."""
        return chance.lognormvariate(log(self.median), log(self.p95 / self.median) / P95)


@dataclass(frozen=True, slots=True)
class Build:
    """One piece of work: when it was queued, and how long it takes; seconds."""

    queued_at: float
    length: float


@dataclass(frozen=True, slots=True)
class Waits:
    """What came of a simulation; seconds, and the share of the time that workers had work."""

    waits: tuple[float, ...]
    busy: float

    def at(self, share: float) -> float:
        """The wait that this share of all builds stays below or at."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def simulate(builds: Iterable[Build], workers: int) -> Waits:
    """Builds of one system, first come, first served: each worker takes one at a time."""
    free = [0.0] * workers
    waits = []
    worked = 0.0
    for build in sorted(builds, key=lambda each: each.queued_at):
        begun = max(build.queued_at, heapq.heappop(free))
        heapq.heappush(free, begun + build.length)
        waits.append(begun - build.queued_at)
        worked += build.length
    until = max(free)
    return Waits(tuple(waits), worked / (workers * until) if until else 0.0)


def weekly(
    slots: list[float], variants: int, lengths: Lengths, weeks: int, seed: int = 1
) -> Iterator[Build]:
    """The builds of channels whose weekly slots are these, in seconds after the week's begin."""
    chance = random.Random(seed)
    for week in range(weeks):
        for slot in slots:
            for _ in range(variants):
                yield Build(week * WEEK + slot, lengths.draw(chance))


def at_once(channels: int) -> list[float]:
    """Every channel in the same minute of the week."""
    return [0.0] * channels


def one_night(channels: int) -> list[float]:
    """Evenly over the eight hours of one night."""
    return [number * 8 * 3600 / channels for number in range(channels)]


def spread(channels: int) -> list[float]:
    """Evenly over the week."""
    return [number * WEEK / channels for number in range(channels)]
