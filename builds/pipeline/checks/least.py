"""Measures with how little RAM an image still boots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from builds.choices import Variant, Verdict
from builds.emulator.watch import BootFailed, BootResult
from builds.models import Release
from builds.pipeline.checks.memory import STEP, last_measured, memory_for, rounded
from builds.pipeline.checks.subject import Subject

MOST_BOOTS = 8
FEWEST = 64  # MiB; with less the firmware itself does not come up
# A machine with too little RAM may just stand still: it is not waited for longer than this many
# times what a good boot took, nor given up earlier than that many seconds.
_PATIENCE, _SHORTEST = 3.0, 20.0


@dataclass(frozen=True, slots=True)
class Least:
    """What a search found: MiB that boot, and those that were seen not to, None where all did."""

    boots: int
    fails: int | None
    result: BootResult


def search(
    try_boot: Callable[[int], BootResult], *, known: int | None, enough: int
) -> Least | BootResult:
    """The least RAM with which a boot passes, to a step of 32 MiB or a twentieth.

    `known` is what was found the last time, `enough` what should do; at most MOST_BOOTS boots.
    Where even that does not pass, its result.
    """
    fails, left = None, MOST_BOOTS - 1
    start = min(known, enough) if known else enough
    result = try_boot(start)
    if result.verdict != Verdict.PASSED and start < enough:
        fails, start, left = start, enough, left - 1
        result = try_boot(start)
    if result.verdict != Verdict.PASSED:
        return result
    found = Least(start, fails, result)
    stride = _step(start) if known else 0
    while left and (below := _next(found, stride)) is not None:
        left, stride = left - 1, 2 * stride
        result = try_boot(below)
        if result.verdict == Verdict.PASSED:
            found = Least(below, found.fails, result)
        else:
            found = replace(found, fails=below)
    return found


def _next(found: Least, stride: int) -> int | None:
    """What to try next: near the last time's number while nothing failed, else half way."""
    floor = found.fails if found.fails is not None else FEWEST - STEP
    if found.boots - floor <= _step(found.boots):
        return None
    if stride and found.fails is None:
        return max(FEWEST, rounded(found.boots - stride))
    return rounded((found.boots + floor) / 2 - STEP / 2) or None


def _step(memory: int) -> int:
    return max(STEP, rounded(memory / 20))


@dataclass(frozen=True, slots=True)
class LeastMemory:
    """The check that measures one variant, booted one way."""

    variant: Variant
    way: Callable[[Subject], BootResult]

    def __call__(self, release: Release, cancelled: Callable[[], bool]) -> BootResult:
        """Boot again and again; the result is that of the last boot that passed, with its RAM."""
        enough = memory_for(release, self.variant)
        subject = Subject.of(release, cancelled, enough)
        took: list[float] = []

        def try_boot(memory: int) -> BootResult:
            limit = max(_SHORTEST, _PATIENCE * max(took)) if took else subject.limit
            try:
                result = self.way(replace(subject, memory=memory, limit=min(limit, subject.limit)))
            except BootFailed as failed:
                result = BootResult(failed.verdict, 0, "", str(failed), "")
            if result.verdict == Verdict.PASSED:
                took.append(result.seconds)
            return result

        found = search(try_boot, known=last_measured(release, self.variant), enough=enough)
        if isinstance(found, BootResult):
            return replace(found, reason=f"With {enough} MiB of RAM: {found.reason}")
        return replace(found.result, reason=_reason(found), memory=found.boots)


def _reason(found: Least) -> str:
    less = f"not with {found.fails} MiB" if found.fails is not None else "fewer were not tried"
    return f"It boots with {found.boots} MiB of RAM; {less}."
