"""The cases of the matrix: which point, which fault, which attempt at it; and their verdicts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import zip_longest

# Each point, and how often a release comes by.
POINTS = {
    "trigger: wanted": 1,
    "trigger: saved": 1,
    "trigger: committed": 1,
    "enqueue: before sending": 5,
    "enqueue: sent": 5,
    "enqueue: noted": 5,
    "draft: held": 2,
    "plan: before pinning": 1,
    "plan: pinned": 1,
    "plan: pin written": 1,
    "plan: builds written": 1,
    "plan: committed": 1,
    "draft: before it is let go": 2,
    "build: message taken": 2,
    "build: row taken": 2,
    "build: built": 2,
    "store: before a file": 3,
    "storage: block written": 8,
    "storage: copied, not named": 5,
    "storage: upload begun": 6,
    "storage: part stored": 6,
    "storage: named": 6,
    "store: file set aside": 3,
    "build: all set aside": 2,
    "build: status set": 2,
    "build: rows written": 2,
    "build: committed": 2,
    "settle: before a file": 5,
    "settle: under both keys": 3,
    "settle: all there": 4,
    "check: message taken": 1,
    "check: row taken": 1,
    "check: verdict found": 1,
    "check: recorded": 1,
    "publish: numbered": 1,
    "publish: script stored": 1,
    "publish: before a paper": 2,
    "publish: papers written": 1,
    "publish: before signing": 1,
    "signer: all looked at": 1,
    "signer: number noted": 1,
    "signer: signed": 2,
    "publish: before a signature": 4,
    "publish: signatures written": 1,
    "publish: status set": 1,
    "publish: head moved": 1,
    "publish: committed": 1,
    "publish: moving sums signed": 1,
    "publish: before a moving file": 8,
    "storage: new text of a moving file written": 6,
    "publish: moving files written": 1,
    "publish: moving files shown": 1,
    "reconcile: builds lost": 3,
    "reconcile: drafts moved on": 3,
}
# Not on the way of a release: their own tests break there.
ELSEWHERE = frozenset(
    {
        "counts: taken",
        "counts: stored",
        "arrival: part stored",
        "arrival: part noted",
        "arrival: file is whole",
        "arrival: draft made",
        "follow: file fetched",
        "follow: files stored",
        "import: file stored",
        "import: files stored",
    }
)

# Only a folder has these; a bucket's own server does that unseen.
FOLDER_ONLY = frozenset({"storage: block written", "storage: copied, not named"})
BUCKET_ONLY = frozenset({"storage: upload begun", "storage: part stored"})

# Inside of a transaction. A worker that is paused there holds SQLite's one lock, and nobody can
# do anything until it goes on or is killed; PostgreSQL ends its session.
IN_TRANSACTION = frozenset(
    {
        "trigger: saved",
        "plan: pin written",
        "plan: builds written",
        "build: status set",
        "build: rows written",
        "publish: status set",
        "publish: head moved",
    }
)

KILLS = ("kill", "stop", "meet")
FAULTS = ("redis", "database", "disk", "storage-gone")
STORAGE_FAULTS = ("storage-error", "storage-hang", "storage-half")
EVERY_FAULT = (*KILLS, *FAULTS, *STORAGE_FAULTS)

# What a lane consists of: a database, a storage, and what carries messages to the workers.
WORLDS = ("sqlite", "postgresql", "bucket", "celery")
# The part of all cases that each world plays; a worker of Celery's own takes seconds to start.
SHARES = {"sqlite": 0.35, "postgresql": 0.35, "bucket": 0.25, "celery": 0.05}
# By the time that the cases of each take together.
SLOWEST_FIRST = ("bucket", "sqlite", "postgresql", "celery")
BEFORE_THE_END_OF_A_BUILD = (
    "build: message taken",
    "build: row taken",
    "build: built",
    "store",
    "storage: block",
    "storage: copied",
    "storage: upload",
    "storage: part",
    "storage: named",
    "build: all",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One release that is disturbed once.

    `meet`: the worker is stopped at `point` past its lease, another one takes over, and the
    first wakes up while the other is at `other`.
    """

    fault: str
    point: str
    nth: int = 1
    other: str = ""
    bug: str = ""
    world: str = "sqlite"

    def __str__(self) -> str:
        met = f", met at {self.other}" if self.other else ""
        return f"{self.fault} at {self.point} ({self.nth}){met}, {self.world}"

    @property
    def other_nth(self) -> int:
        """At which time the other worker waits at its point.

        It first takes the build of the second variant, and then what the first one has lost.
        """
        in_a_build = all(
            place.startswith(BEFORE_THE_END_OF_A_BUILD) for place in (self.point, self.other)
        )
        return 2 if in_a_build else 1


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case: what is wrong (nothing, when all is well), and the seconds it took."""

    case: Case
    wrong: list[str]
    seconds: float
    reached: bool


# Where a late worker meets one that took over: right between two steps of storing or publishing.
MEETINGS = (
    "build: row taken",
    "store: file set aside",
    "build: all set aside",
    "build: committed",
    "settle: under both keys",
    "check: row taken",
    "publish: numbered",
    "publish: before a paper",
    "publish: before a signature",
    "publish: committed",
    "publish: before a moving file",
)


def cases(world: str, seed: int) -> list[Case]:
    """Every case of one world, in an order that only the seed decides."""
    draw = random.Random(f"{world} {seed}")
    bucket, one_lock = world == "bucket", world != "postgresql"
    faults = (*FAULTS[:3], *STORAGE_FAULTS) if bucket else FAULTS
    every: list[Case] = []
    for point, times in POINTS.items():
        if point in (FOLDER_ONLY if bucket else BUCKET_ONLY):
            continue
        every += [Case("kill", point, nth) for nth in range(1, times + 1)]
        every += [Case("stop", point, nth) for nth in range(1, min(times, 2) + 1)]
        every += [Case(one, point) for one in faults]
        held = one_lock and point in IN_TRANSACTION
        if not held and not point.startswith(("trigger", "reconcile")):
            every += [Case("meet", point, 1, other) for other in draw.sample(MEETINGS, 4)]
    draw.shuffle(every)
    return [replace(case, world=world) for case in every]


def sample(every: Iterable[Case], kills: int, faults: int) -> list[Case]:
    """So many kills and pauses out of all, and other faults; each point once where that fits.

    Where more are wanted than there are, all of them are there several times.
    """
    every = list(every)
    breaking = [case for case in every if case.fault in KILLS]
    others = [case for case in every if case.fault not in KILLS]
    mixed = _spread(breaking, kills) + _spread(_fault_by_fault(others), faults)
    random.Random(kills).shuffle(mixed)
    return mixed


def _fault_by_fault(cases: Iterable[Case]) -> list[Case]:
    """One of each fault in turn, so that few of them are of every kind."""
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(case.fault, []).append(case)
    return [case for turn in zip_longest(*kinds.values()) for case in turn if case is not None]


def _spread(every: list[Case], wanted: int) -> list[Case]:
    chosen: list[Case] = []
    left: list[Case] = []
    while every and len(chosen) < wanted:
        left = left or list(every)
        seen: set[str] = set()
        later = []
        for case in left:
            if case.point in seen or len(chosen) >= wanted:
                later.append(case)
            else:
                seen.add(case.point)
                chosen.append(case)
        left = later
    return chosen


def in_worlds(worlds: Iterable[str], *, kills: int, faults: int, seed: int) -> list[Case]:
    """The cases of a run in these worlds together, each with its share."""
    worlds = list(worlds)
    whole = sum(SHARES[world] for world in worlds)
    chosen: list[Case] = []
    for number, world in enumerate(worlds, start=1):
        is_last = number == len(worlds)
        played = sum(case.fault in KILLS for case in chosen)
        wanted = kills - played if is_last else round(kills * SHARES[world] / whole)
        chosen += sample(cases(world, seed), wanted, round(faults * SHARES[world] / whole))
    return chosen


def table(results: list[Result]) -> str:
    """Markdown: a line for each point, then for each world, a column for each fault.

    Cells are the cases that held, of all where some did not.
    """
    faults = sorted({result.case.fault for result in results}, key=EVERY_FAULT.index)
    points = _lines(results, "point", [*POINTS], faults, lambda case: case.point)
    worlds = _lines(results, "world", [*WORLDS], faults, lambda case: case.world)
    return f"{points}\n\n{worlds}"


def _lines(
    results: list[Result],
    title: str,
    names: list[str],
    faults: list[str],
    name_of: Callable[[Case], str],
) -> str:
    held, all_of = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for result in results:
        for name in (name_of(result.case), "all"):
            place = (name, result.case.fault)
            all_of[place] += 1
            held[place] += not result.wrong

    def cell(name: str, fault: str) -> str:
        good, every = held[name, fault], all_of[name, fault]
        return "" if not every else str(good) if good == every else f"**{good} of {every}**"

    head = [f"| {title} | " + " | ".join(faults) + " |", "|---" * (len(faults) + 1) + "|"]
    shown = [name for name in [*names, "all"] if any(all_of[name, fault] for fault in faults)]
    cells = ([cell(name, fault) for fault in faults] for name in shown)
    lines = [f"| {name} | {' | '.join(row)} |" for name, row in zip(shown, cells, strict=True)]
    return "\n".join([*head, *lines])
