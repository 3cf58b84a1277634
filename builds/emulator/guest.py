"""A machine that runs in QEMU for the length of a with block."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from builds import processes
from builds.emulator import qemu
from builds.emulator.accelerator import Accelerator, accelerator
from builds.emulator.console import Console
from builds.emulator.machine import Machine
from builds.emulator.qmp import Monitor, MonitorError

_FORWARDS = "info usernet"


class GuestError(Exception):
    """QEMU is missing, could not start, or could not do what was asked."""


class GuestEndedError(GuestError):
    """The guest ended while something was still expected of it."""


class Guest:
    """A running machine; leaving the block ends it and everything that it started.

    `log` is a file that gets the console's output, `echo` gets each piece of it. The kernel ends
    QEMU when the thread that entered the block ends. Raises GuestError on entering where QEMU is
    missing or can't start.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        log: Path | None = None,
        using: Accelerator | None = None,
        echo: Callable[[bytes], object] | None = None,
    ) -> None:
        self.machine = machine
        self.accelerator = using or accelerator(machine.system, machine.kernel)
        self._log = log
        self._echo = echo
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opening:
            self._start(opening)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def console(self) -> str:
        """The newest 256 KiB that the guest wrote to its serial port."""
        return self._console.text

    @property
    def ended(self) -> bool:
        """Whether QEMU has let go of its serial port, thus ends, and all it wrote has been read."""
        return self._console.closed

    def find(self, pattern: str, timeout: float) -> re.Match[bytes] | None:
        """The console's next match of a pattern; None after so many seconds without one."""
        return self._console.find(re.compile(pattern.encode()), timeout)

    def wait_for(self, pattern: str, timeout: float) -> str:
        """Wait for the console to match a pattern; gives the words that matched.

        Raises TimeoutError after so many seconds, GuestEndedError where the guest ends first.
        """
        found = self.find(pattern, timeout)
        if found:
            return found[0].decode("utf-8", "replace")
        if self._console.closed:
            raise GuestEndedError(f"The guest ended before its console said {pattern!r}.")
        raise TimeoutError(f"The console did not say {pattern!r} within {timeout:g} seconds.")

    def send(self, text: str | bytes) -> None:
        """Type on the serial console; a line needs its own end. Raises GuestEndedError."""
        try:
            self._console.send(text)
        except OSError as gone:
            raise GuestEndedError("The guest has ended; nobody reads what is typed.") from gone

    def port(self, guest_port: int) -> int:
        """The port of this machine's loopback that leads to a port of the guest.

        Raises GuestError where no forward leads there.
        """
        try:
            said = self._monitor.execute("human-monitor-command", **{"command-line": _FORWARDS})
        except MonitorError as refused:
            raise GuestError(f"QEMU does not tell its forwards: {refused}") from refused
        found = re.search(rf"HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+{guest_port}\s", said)
        if found is None:
            raise GuestError(f"No forward leads to port {guest_port} of the guest.")
        return int(found[1])

    def screenshot(self, path: Path) -> None:
        """Save what the guest's display shows as PNG. Raises GuestError."""
        try:
            self._monitor.execute("screendump", filename=str(path.absolute()), format="png")
        except MonitorError as refused:
            raise GuestError(f"QEMU can't take a picture of the display: {refused}") from refused

    def stop(self) -> None:
        """End the guest at once; its console can still be read. Does nothing a second time."""
        self._open.close()

    def _start(self, opening: contextlib.ExitStack) -> None:
        folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="guest-")))
        console, console_inside = _pair(opening)
        monitor, monitor_inside = _pair(opening)
        errors = folder / "errors"
        inherited = (console_inside.fileno(), monitor_inside.fileno())
        try:
            command = qemu.command(self.machine, self.accelerator.name, folder, *inherited)
            with errors.open("wb") as stderr:
                self._process = processes.start(command, stderr=stderr, pass_fds=inherited)
        except (FileNotFoundError, qemu.FirmwareMissingError) as missing:
            raise GuestError(_missing(missing)) from missing
        console_inside.close()
        monitor_inside.close()
        self._console = Console(console, self._log, self._echo)
        opening.callback(self._console.close)
        opening.callback(_end, self._process)
        try:
            self._monitor = Monitor(monitor)
            opening.callback(self._monitor.close)
            self._monitor.execute("cont")
        except MonitorError as refused:
            why = errors.read_text("utf-8", "replace").strip() or str(refused)
            raise GuestError(f"QEMU could not start: {why}") from refused


def _pair(opening: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    ours, inside = socket.socketpair()
    opening.enter_context(ours)
    opening.enter_context(inside)
    return ours, inside


def _missing(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{error} is not installed; install the package qemu-system-x86 or qemu-system-arm."
    return str(error)


def _end(process: subprocess.Popen[bytes]) -> None:
    # A guest has nothing to save: its disks are thrown away.
    processes.stop(process, grace=1.0)
