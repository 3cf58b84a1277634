"""Checks on a draft: each takes the stored files and comes back with a verdict."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from builds.choices import Role, System, Verdict
from builds.emulator.machine import Machine
from builds.emulator.watch import BootCancelled, BootResult, boot
from builds.models import Artifact, Check, LeaseLost, Release
from builds.pipeline.heartbeat import Heartbeat
from builds.pipeline.patience import insist
from builds.pipeline.store import settle
from builds.pipeline.watch import has_ended
from builds.points import point
from builds.storage import artifacts
from builds.storage.base import blocks

logger = logging.getLogger(__name__)

MEMORY_MIB = 3072  # an initrd that holds a whole NixOS wants 2.5 GB; QEMU takes what is used


def run_check(check: Check, *, worker: str) -> bool:
    """Run one check and record its verdict; false where somebody has it already."""
    point("check: message taken")
    if not check.start(worker):
        logger.info("%s is taken or done", check)
        return False
    point("check: row taken")
    unwanted = has_ended(check.release)
    try:
        with Heartbeat(check) as heart:
            result = _result(check, lambda: heart.lost or unwanted())
            point("check: verdict found")
            _record(check, result)
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
        return _not_possible(f"This portal knows no check called {check.name}.")
    try:
        settle(check.release)
        return run(check.release, cancelled)
    except OSError as error:
        return error


def _record(check: Check, result: BootResult | OSError) -> None:
    in_the_way = _in_the_way(result)
    if in_the_way:
        logger.warning("%s: %s", check, in_the_way)
        insist(lambda: check.miss(in_the_way, at=timezone.now()), str(check))
        return
    assert not isinstance(result, OSError)
    insist(
        lambda: check.conclude(
            result.verdict,
            result.reason,
            seconds=result.seconds,
            accelerator=result.accelerator,
            console=result.console.replace("\0", ""),
        ),
        str(check),
    )


def _in_the_way(result: BootResult | OSError) -> str:
    """What of ours kept the check from being made, "" where it was, or never could be."""
    if isinstance(result, OSError):
        return f"It needs a file or disk that does not answer: {result}."
    # Where no machine was even chosen, the release or the channel is wrong, and stays so.
    tried = result.verdict == Verdict.ERROR and result.accelerator
    return result.reason if tried else ""


def boot_netboot_direct(release: Release, cancelled: Callable[[], bool]) -> BootResult:
    """Boot the netboot's kernel and initrd, given to the machine directly."""
    system = System(release.system)
    try:
        kernel = release.artifacts.get(role=Role.KERNEL)
        initrd = release.artifacts.get(role=Role.INITRD)
    except Artifact.DoesNotExist:
        return _not_possible("The release has no kernel or no initrd to boot.")
    params = kernel.build.kernel_params if kernel.build else ""
    with local_copy(kernel) as kernel_path, local_copy(initrd) as initrd_path:
        machine = Machine(
            system=system,
            memory=MEMORY_MIB,
            kernel=kernel_path,
            initrd=initrd_path,
            # The last console= is the one that the init system talks to.
            append=f"{params} console={system.serial_console}".strip(),
        )
        return boot(
            machine,
            marker=release.channel.marker_for(release),
            timeout=settings.BOOT_TIME_LIMIT,
            cancelled=cancelled,
        )


CHECKS: dict[str, Callable[[Release, Callable[[], bool]], BootResult]] = {
    "boot-netboot-direct": boot_netboot_direct,
}


@contextmanager
def local_copy(artifact: Artifact) -> Iterator[Path]:
    """A stored artifact as a file on this machine, fetched where it lies elsewhere."""
    path = artifacts().local_path(artifact.key)
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / artifact.name
        with copy.open("wb") as target:
            for block in blocks(artifacts().open_range(artifact.key, 0, artifact.size)):
                target.write(block)
        yield copy


def _not_possible(reason: str) -> BootResult:
    return BootResult(verdict=Verdict.ERROR, reason=reason, seconds=0, accelerator="", console="")
