"""Runs one check and records its verdict."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from django.utils import timezone

from builds.builders.base import BuilderError
from builds.choices import Verdict
from builds.emulator.watch import BootCancelled, BootResult
from builds.models import Check, LeaseLost
from builds.pipeline.checks.keeping import keep_comparison, keep_picture
from builds.pipeline.checks.memory import note_least_memory
from builds.pipeline.checks.registry import CHECKS, not_booted
from builds.pipeline.checks.reproduced import Compared
from builds.pipeline.heartbeat import Heartbeat
from builds.pipeline.patience import insist
from builds.pipeline.publish import tell
from builds.pipeline.store import settle
from builds.pipeline.watch import is_unwanted
from builds.points import point

logger = logging.getLogger(__name__)


def run_check(check: Check, *, worker: str) -> bool:
    """Run one check and record its verdict; false where somebody has it already."""
    point("check: message taken")
    if not check.start(worker):
        logger.info("%s is taken or done", check)
        return False
    point("check: row taken")
    unwanted = is_unwanted(check)
    try:
        with Heartbeat(check) as heart:
            result = _result(check, lambda: heart.lost or unwanted())
            point("check: verdict found")
            record(check, result)
            logger.info("%s: %s", check, check.verdict)
    except BootCancelled:
        logger.info("%s stops: it is not wanted any more, or given to another worker", check)
        with suppress(LeaseLost):
            check.put_back("not wanted any more")
    except LeaseLost:
        logger.warning("%s was given to another worker; this one stops", check)
    point("check: recorded")
    return True


def _result(check: Check, cancelled: Callable[[], bool]) -> BootResult | OSError | BuilderError:
    """What the check found, or what kept it from looking."""
    if cancelled():
        raise BootCancelled
    run = CHECKS.get(check.name)
    if run is None:
        return not_booted(Verdict.ERROR, f"This portal knows no check called {check.name}.")
    try:
        settle(check.release)
        return run(check.release, cancelled)
    except (OSError, BuilderError) as error:
        return error


def record(check: Check, result: BootResult | OSError | BuilderError) -> None:
    """Write down what was found, under the lease; let the check wait where it could not look."""
    in_the_way = _in_the_way(result)
    if in_the_way:
        logger.warning("%s: %s", check, in_the_way)
        insist(lambda: check.miss(in_the_way, at=timezone.now()), str(check))
        return
    assert isinstance(result, BootResult), "errors are in the way"
    if result.verdict == Verdict.PASSED:
        note_least_memory(check, result.memory)
    picture = keep_picture(check, result.picture)
    comparison = keep_comparison(check, result) if isinstance(result, Compared) else {}
    insist(
        lambda: check.conclude(
            result.verdict,
            result.reason,
            seconds=result.seconds,
            accelerator=result.accelerator,
            console=result.console.replace("\0", ""),
            picture=picture,
            memory=result.memory,
            comparison=comparison,
        ),
        str(check),
    )
    if not check.gates:
        tell(check.release.channel.name)


def _in_the_way(result: BootResult | OSError | BuilderError) -> str:
    """What of ours kept the check from being made, "" where it was, or never could be."""
    if isinstance(result, OSError):
        return f"It needs a file or disk that does not answer: {result}."
    if isinstance(result, BuilderError):
        return str(result)
    # Where no machine was even chosen, the release or the channel is wrong, and stays so.
    tried = result.verdict == Verdict.ERROR and result.accelerator
    return result.reason if tried else ""
