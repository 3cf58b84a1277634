"""Boots a machine, watches its console, and says how it went."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builds.choices import Verdict
from builds.emulator.accelerator import Accelerator
from builds.emulator.guest import Guest, GuestError
from builds.emulator.machine import Machine

_LOOK_EVERY = 0.25

BAD_ENDS = {
    Verdict.PANICKED: r"Kernel panic - not syncing[^\r\n]*",
    Verdict.EMERGENCY: r"You are in emergency mode|Give root password for maintenance"
    r"|Cannot open access to console, the root account is locked"
    r"|An error occurred in stage 1 of the boot process|\(initramfs\)",
}
"""Words on a console after which a machine is not going to come up."""


class BootCancelled(Exception):
    """Somebody told the boot to stop, and nothing of it is left."""


@dataclass(frozen=True, slots=True)
class BootResult:
    """How a boot went.

    `seconds` is from the start of QEMU to the verdict, `reason` one sentence, `console` the
    newest 256 KiB of the serial port, escapes and all.
    """

    verdict: Verdict
    seconds: float
    accelerator: str
    reason: str
    console: str


def boot(
    machine: Machine,
    marker: str,
    timeout: float,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    log: Path | None = None,
    using: Accelerator | None = None,
) -> BootResult:
    """Boot a machine until its serial console shows the marker or it is clear that it never will.

    The marker is plain text. `timeout` is in seconds; `cancelled` is asked several times a
    second, and true raises BootCancelled. `log` is a file for the console's output. However it
    goes, no process is left.
    """
    guest = Guest(machine, log=log, using=using)
    started = time.monotonic()
    try:
        with guest:
            verdict, reason = _watch(guest, marker, started + timeout, cancelled)
            seconds = time.monotonic() - started
    except GuestError as error:
        return BootResult(
            Verdict.ERROR, time.monotonic() - started, guest.accelerator.name, str(error), ""
        )
    return BootResult(verdict, seconds, guest.accelerator.name, reason, guest.console)


def _watch(
    guest: Guest, marker: str, deadline: float, cancelled: Callable[[], bool]
) -> tuple[Verdict, str]:
    ends = {Verdict.PASSED: re.escape(marker), **BAD_ENDS}
    pattern = "|".join(f"(?P<{verdict}>{words})" for verdict, words in ends.items())
    while True:
        ended = guest.ended
        found = guest.find(pattern, min(_LOOK_EVERY, max(0, deadline - time.monotonic())))
        if found:
            verdict = Verdict(found.lastgroup or "")
            words = found[0].decode("utf-8", "replace")
            return verdict, f"The console said: {words}"
        if ended:
            return Verdict.ENDED, "The machine ended before its console showed the marker."
        if cancelled():
            raise BootCancelled
        if time.monotonic() >= deadline:
            return Verdict.HUNG, f"The console did not show {marker!r} in time."
