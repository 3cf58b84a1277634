"""Runs one check and records its verdict."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from builds.choices import Verdict
from builds.emulator.watch import BootCancelled, BootResult
from builds.models import Check, LeaseLost
from builds.pipeline.checks.memory import note_least_memory
from builds.pipeline.checks.picture import keep_picture
from builds.pipeline.checks.registry import CHECKS, not_booted
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
    except BootCancelled:
        logger.info("%s stops: it is not wanted any more, or given to another worker", check)
        with suppress(LeaseLost):
            check.put_back("not wanted any more")
    except LeaseLost:
        logger.warning("%s was given to another worker; this one stops", check)
    point("check: recorded")
    return True


def _result(check: Check, cancelled: Callable[[], bool]) -> BootResult | OSError:
    """What the check found, or what kept it from looking."""
    if cancelled():
        raise BootCancelled
    run = CHECKS.get(check.name)
    if run is None:
        return not_booted(Verdict.ERROR, f"This portal knows no check called {check.name}.")
    try:
        settle(check.release)
        return run(check.release, cancelled)
    except OSError as error:
        if check.may_be_tried_again:
            return error
        return not_booted(Verdict.ERROR, f"The stored files could not be read: {error}")


def record(check: Check, result: BootResult | OSError) -> None:
    """Write down what was found, under the lease; put the check back where it could not look."""
    if isinstance(result, OSError):
        reason = f"waits for the storage: {result}"
        logger.warning("%s %s", check, reason)
        insist(lambda: check.put_back(reason), str(check))
        return
    if result.verdict == Verdict.PASSED:
        note_least_memory(check, result.memory)
    picture = keep_picture(check, result.picture)
    insist(
        lambda: check.conclude(
            result.verdict,
            result.reason,
            seconds=result.seconds,
            accelerator=result.accelerator,
            console=result.console.replace("\0", ""),
            picture=picture,
            memory=result.memory,
        ),
        str(check),
    )
    if not check.gates:
        tell(check.release.channel.name)
