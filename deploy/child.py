"""One program under the supervisor: started so that it dies with us, read line by line."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.terminal import Prefix

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Service:
    """A program to run.

    `restarts`: starts again when it ends by itself. `serves_others`: in a stop it goes last.
    `is_patient`: in a stop it is asked by SIGINT and waited for, because killing it does harm.
    `has_prefix`: its lines are printed behind its name. `log`: the file that gets its lines, in
    place of the terminal.
    """

    name: str
    command: tuple[str, ...]
    restarts: bool = True
    serves_others: bool = False
    is_patient: bool = False
    has_prefix: bool = True
    log: Path | None = None


class Child:
    """A service's process, in a session of its own: Ctrl-C reaches us alone, and we stop it."""

    def __init__(self, service: Service, folder: Path, environment: Mapping[str, str]) -> None:
        self.service = service
        self.started = time.monotonic()
        self._out = service.log.open("ab") if service.log else None
        self._prefix = Prefix(service.name)
        self._partial = b""
        parent = os.getpid()
        last_wish = signal.SIGINT if service.is_patient else signal.SIGKILL
        self.process = subprocess.Popen(
            service.command,
            cwd=folder,
            env={**environment, "LOG_PROCESS": service.name},
            stdin=subprocess.DEVNULL,
            stdout=self._out or (subprocess.PIPE if service.has_prefix else None),
            stderr=subprocess.STDOUT if self._out or service.has_prefix else None,
            start_new_session=True,
            # Safe here: the supervisor has one thread.
            preexec_fn=lambda: die_with_parent(parent, last_wish),  # noqa: PLW1509
        )
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)

    def relay(self) -> bool:
        """Print the lines that have come; false once there will be no more."""
        stream = self.process.stdout
        if stream is None or stream.closed:
            return False
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(stream.fileno(), _CHUNK):
                *lines, self._partial = (self._partial + chunk).split(b"\n")
                for line in lines:
                    self._print(line)
            return False
        return True

    def close(self) -> None:
        """Print what is left after the end."""
        self.relay()
        if self._partial:
            self._print(self._partial)
        for stream in (self.process.stdout, self._out):
            if stream is not None:
                stream.close()

    def ask_to_stop(self) -> None:
        """Tell the main process; it knows how to stop its own."""
        self.process.send_signal(signal.SIGINT if self.service.is_patient else signal.SIGTERM)

    def kill(self) -> None:
        """End it with everything in its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def fate(self) -> str:
        """How it ended, in words."""
        code = self.process.returncode
        fate = (
            f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        return f"{fate} (its words are in {self.service.log})" if self.service.log else fate

    def _print(self, line: bytes) -> None:
        self._prefix.print(line.rstrip(b"\r").decode("utf-8", "replace"))


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Ask the kernel to send this process a signal when its parent dies; Linux only."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def adopt_orphans(*, on: bool) -> None:
    """Become the parent of whatever our children leave behind, or stop being it; Linux only."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(on))


def descendants(of: int | None = None) -> list[int]:
    """The processes below this one or another, in no order, without those that have ended."""
    children: dict[int, list[int]] = {}
    for pid, parent in _living():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    todo = [of or os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _living() -> Iterator[tuple[int, int]]:
    """Every living process with its parent."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(folder.name), int(parent)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
