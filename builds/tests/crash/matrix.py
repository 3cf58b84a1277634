"""The cases of the matrix: which point, which fault, which attempt at it; and their verdicts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

# Each point, and how often a release comes by.
POINTS = {
    "trigger: wanted": 1,
    "trigger: saved": 1,
    "trigger: committed": 1,
    "enqueue: before sending": 4,
    "enqueue: sent": 4,
    "enqueue: noted": 4,
    "draft: held": 2,
    "plan: before pinning": 1,
    "plan: pinned": 1,
    "plan: pin written": 1,
    "plan: builds written": 1,
    "plan: committed": 1,
    "draft: before it is let go": 2,
    "build: message taken": 1,
    "build: row taken": 1,
    "build: built": 1,
    "store: before a file": 2,
    "storage: block written": 6,
    "storage: copied, not named": 4,
    "storage: upload begun": 4,
    "storage: part stored": 4,
    "storage: named": 4,
    "store: file set aside": 2,
    "build: all set aside": 1,
    "build: status set": 1,
    "build: rows written": 1,
    "build: committed": 1,
    "settle: before a file": 2,
    "settle: under both keys": 2,
    "settle: all there": 3,
    "check: message taken": 1,
    "check: row taken": 1,
    "check: verdict found": 1,
    "check: recorded": 1,
    "publish: numbered": 1,
    "publish: script stored": 1,
    "publish: before a paper": 2,
    "publish: papers written": 1,
    "publish: status set": 1,
    "publish: head moved": 1,
    "publish: committed": 1,
    "publish: before a moving file": 5,
    "storage: new text of a moving file written": 3,
    "publish: moving files written": 1,
    "reconcile: builds lost": 3,
    "reconcile: drafts moved on": 3,
}
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

    def __str__(self) -> str:
        met = f", met at {self.other}" if self.other else ""
        return f"{self.fault} at {self.point} ({self.nth}){met}"


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
    "publish: committed",
    "publish: before a moving file",
)


def cases(*, database: str, bucket: bool, seed: int) -> list[Case]:
    """Every case of the matrix, in an order that only the seed decides."""
    draw = random.Random(seed)
    faults = STORAGE_FAULTS if bucket else FAULTS
    every: list[Case] = []
    for point, times in POINTS.items():
        if point in (FOLDER_ONLY if bucket else BUCKET_ONLY):
            continue
        every += [Case("kill", point, nth) for nth in range(1, times + 1)]
        every += [Case("stop", point, nth) for nth in range(1, min(times, 2) + 1)]
        locked = database == "sqlite" and point in IN_TRANSACTION
        every += [Case(one, point) for one in faults if not (locked and one == "database")]
        if not locked and not point.startswith(("trigger", "reconcile")):
            every += [Case("meet", point, 1, other) for other in MEETINGS]
    draw.shuffle(every)
    return every


def sample(every: Iterable[Case], kills: int) -> list[Case]:
    """So many kills and pauses out of all, each point at least once where that fits, then faults.

    A quarter as many other faults come with them.
    """
    every = list(every)
    breaking = [case for case in every if case.fault in KILLS]
    others = [case for case in every if case.fault not in KILLS]
    chosen: list[Case] = []
    while len(chosen) < kills:
        seen: set[str] = set()
        for case in breaking:
            if case.point not in seen and case not in chosen and len(chosen) < kills:
                seen.add(case.point)
                chosen.append(case)
        if not seen:  # every one is there: once more around, at other moments
            chosen += breaking[: kills - len(chosen)]
    mixed = chosen + others[: max(8, kills // 4)]
    random.Random(kills).shuffle(mixed)
    return mixed


def table(results: list[Result]) -> str:
    """Markdown: a line for each point, a column for each fault; cases that held of all."""
    faults = sorted(
        {result.case.fault for result in results},
        key=(*KILLS, *FAULTS, *STORAGE_FAULTS).index,
    )
    held, all_of = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for result in results:
        place = (result.case.point, result.case.fault)
        all_of[place] += 1
        held[place] += not result.wrong
    lines = ["| point | " + " | ".join(faults) + " |", "|---" * (len(faults) + 1) + "|"]
    for point in POINTS:
        cells = [
            f"{held[point, fault]} of {all_of[point, fault]}" if all_of[point, fault] else ""
            for fault in faults
        ]
        lines.append(f"| {point} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
