"""Boots a machine, watches its console, and says how it went."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from builds.choices import Verdict
from builds.emulator.accelerator import Accelerator
from builds.emulator.guest import Guest, GuestError
from builds.emulator.machine import Machine
from builds.emulator.words import last_words, loader_words, remarks

_LOOK_EVERY = 0.25
_LINE_WITHIN = 2.0  # seconds; kernels of emulated machines are slow to speak

# What a GRUB that we configure ourselves says at its end.
GRUB_GAVE_UP = "GRUB could not boot what it was told to"

BAD_ENDS = {
    Verdict.PANICKED: r"Kernel panic - not syncing[^\r\n]*",
    Verdict.EMERGENCY: r"You are in emergency mode|Give root password for maintenance"
    r"|Cannot open access to console, the root account is locked"
    r"|An error occurred in stage 1 of the boot process|\(initramfs\)",
    # What is left of loaders and firmware once nothing is left for them to try.
    Verdict.LOADER: r"No more network devices|No bootable device\.|No bootable option or device"
    r"|UEFI Interactive Shell|grub rescue>|Failed to boot both default and fallback entries"
    r"|error: [^\r\n]+[\r\n]+(?:[^\r\n]*[\r\n]+){0,6}?[^\r\n]*Press any key to continue"
    rf"|{GRUB_GAVE_UP}"
    r"|Boot failed: press a key to retry|Could not find kernel image: [^\r\n]*",
}
"""Words on a console after which a machine is not going to come up."""

# A loaded host lets the timer of an emulated PC come too late for the kernel's own test of it:
# the emulator's fault, not the image's. Seen at a load of 15 on two cores.
_EMULATORS_FAULT = "IO-APIC + timer doesn't work"
MOST_BOOTS = 3
# Emulated processors were seen to stand still, too; a verdict on the image takes two of that.
_HUNG_BEFORE = "The boot before this one, emulated as well, hung."

Found = TypeVar("Found")


class BootCancelled(Exception):
    """Somebody told the boot to stop, and nothing of it is left."""


class BootFailed(Exception):
    """The machine is not going to do what it should; says which way it failed, and a sentence."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class BootResult:
    """How a boot went.

    `seconds` is from the start of QEMU to the verdict, `reason` one sentence, `console` the
    newest 256 KiB of the serial port, escapes and all, `picture` what the display showed at the
    end, as PNG, b"" where there is no display; `memory` is the machine's RAM in MiB.
    """

    verdict: Verdict
    seconds: float
    accelerator: str
    reason: str
    console: str
    picture: bytes = b""
    memory: int | None = None


class Watched:
    """A running guest of which something is expected: a bad end of it ends the waiting.

    `limit` is how many seconds each single wait may take.
    """

    def __init__(self, guest: Guest, limit: float, cancelled: Callable[[], bool]) -> None:
        self.guest = guest
        self._limit = limit
        self._cancelled = cancelled

    def until_said(self, words: str) -> str:
        """Wait for the console to show a plain text; what the console said. Raises BootFailed."""
        ends = {Verdict.PASSED: re.escape(words), **BAD_ENDS}
        pattern = "|".join(f"(?P<{verdict}>{end})" for verdict, end in ends.items())

        def look(seconds: float) -> str | None:
            found = self.guest.find(pattern, seconds)
            if found is None:
                return None
            verdict, said = Verdict(found.lastgroup or ""), found[0].decode("utf-8", "replace")
            if verdict == Verdict.PASSED:
                return said
            raise self._bad_end(verdict, said)

        return self._wait(look, f"its console showed {words!r}")

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        """Ask until there is an answer; `what` completes the sentence "… before". BootFailed."""
        pattern = "|".join(BAD_ENDS.values())

        def ask(seconds: float) -> Found | None:
            answer = look()
            if answer is None and (found := self.guest.find(pattern, seconds)):
                said = found[0].decode("utf-8", "replace")
                verdict = next(end for end, words in BAD_ENDS.items() if re.search(words, said))
                raise self._bad_end(verdict, said)
            return answer

        return self._wait(ask, what)

    def _bad_end(self, verdict: Verdict, said: str) -> BootFailed:
        """Why; a panic once its line has come whole: a serial port gives it letter by letter."""
        if verdict == Verdict.PANICKED:
            said += self._rest_of_line()
        return BootFailed(verdict, _why(verdict, said, self.guest.console))

    def _rest_of_line(self) -> str:
        """What follows the words that were found; without an end where none comes in time."""
        find = self.guest.find
        rest = find(r"[^\r\n]*[\r\n]", _LINE_WITHIN) or find(r"[^\r\n]+", 0)
        return rest[0].decode("utf-8", "replace").rstrip() if rest else ""

    def _wait(self, look: Callable[[float], Found | None], what: str) -> Found:
        deadline = time.monotonic() + self._limit
        while True:
            ended = self.guest.ended
            found = look(min(_LOOK_EVERY, max(0, deadline - time.monotonic())))
            if found is not None:
                return found
            console = self.guest.console
            if ended:
                raise BootFailed(
                    Verdict.ENDED, f"The machine ended before {what}.{remarks(console)}"
                )
            if self._cancelled():
                raise BootCancelled
            if time.monotonic() >= deadline:
                said = f"{self._limit:g} seconds went by before {what}."
                raise BootFailed(Verdict.HUNG, f"{said}{remarks(console)}{last_words(console)}")


def nothing_more(watched: Watched) -> None:
    """What is asked of a machine that is up, where its marker is enough."""


def boot(
    machine: Machine,
    marker: str,
    timeout: float,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    log: Path | None = None,
    using: Accelerator | None = None,
    then: Callable[[Watched], None] = nothing_more,
) -> BootResult:
    """Boot a machine until its serial console shows the marker or it is clear that it never will.

    The marker is plain text. `timeout` is in seconds, for each thing that is waited for;
    `cancelled` is asked several times a second, and true raises BootCancelled. `log` is a file
    for the console's output. `then` is what else must come true once the marker has shown; it
    raises BootFailed. However it goes, no process is left.
    """
    guest = Guest(machine, log=log, using=using)
    watched = Watched(guest, timeout, cancelled)
    hung = False
    for _ in range(MOST_BOOTS):
        result = _boot_once(guest, lambda: _verdict(watched, marker, then))
        is_first_hang = result.verdict == Verdict.HUNG and not hung
        if result.accelerator != "tcg" or not (is_first_hang or _EMULATORS_FAULT in result.reason):
            break
        hung = hung or is_first_hang
    return replace(result, reason=f"{result.reason} {_HUNG_BEFORE}") if hung else result


def _boot_once(guest: Guest, play: Callable[[], tuple[Verdict, str]]) -> BootResult:
    started = time.monotonic()
    picture = b""
    try:
        with guest:
            verdict, reason = play()
            seconds = time.monotonic() - started
            picture = _picture(guest)
    except GuestError as error:
        return BootResult(
            Verdict.ERROR, time.monotonic() - started, guest.accelerator.name, str(error), ""
        )
    return BootResult(
        verdict,
        seconds,
        guest.accelerator.name,
        reason,
        guest.console,
        picture,
        guest.machine.memory,
    )


def _verdict(watched: Watched, marker: str, then: Callable[[Watched], None]) -> tuple[Verdict, str]:
    try:
        said = watched.until_said(marker)
        then(watched)
    except BootFailed as failed:
        return failed.verdict, str(failed)
    return Verdict.PASSED, f"The console said: {said}"


def _why(verdict: Verdict, said: str, console: str) -> str:
    """One sentence in the console's own words."""
    if verdict == Verdict.LOADER:
        return f"The loader gave up: {loader_words(console) or said.strip()}"
    return f"The console said: {said}{remarks(console)}"


def _picture(guest: Guest) -> bytes:
    """What the display shows, b"" where there is none or QEMU has ended."""
    with tempfile.TemporaryDirectory(prefix="screen-") as folder, suppress(GuestError, OSError):
        path = Path(folder) / "screen.png"
        guest.screenshot(path)
        return path.read_bytes()
    return b""
