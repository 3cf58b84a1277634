"""Starts programs so that nothing of them outlives us, and ends them with all that they started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import IO

# Strongest first. --mount-proc matters: with the outer /proc, Nix writes the uid map of its
# sandbox to a process id of the wrong namespace and fails.
_CONTAINMENTS: tuple[tuple[str, ...], ...] = (
    (
        *("setpriv", "--pdeathsig", "KILL"),
        *("unshare", "--pid", "--mount-proc", "--fork", "--kill-child=KILL"),
    ),
    ("setpriv", "--pdeathsig", "KILL"),
    (),
)


_NAMESPACE_END = 3.0
_BLINK = 30.0  # seconds; on a machine that is very busy otherwise


@cache
def containment() -> tuple[str, ...]:
    """Words to put before a command so that it dies with us, as far as this kernel allows.

    At best a process namespace of its own, which the kernel empties when we are killed; at
    least a signal to the program itself; () where neither works. Tried once per process.
    """
    return next(words for words in _CONTAINMENTS if _works(words))


def _works(words: Sequence[str]) -> bool:
    try:
        tried = subprocess.run([*words, "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


def start(
    command: Sequence[str],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    pass_fds: Collection[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session and process group of its own, contained.

    The kernel counts the *thread* that calls this as the parent: the program dies when that
    thread ends. Raises FileNotFoundError where the program is not on PATH.
    """
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(command[0])
    return subprocess.Popen(
        [*containment(), *command],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
    )


def ask(command: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a program that is done within a blink: what it said, whatever its exit code.

    Raises FileNotFoundError where it is not on PATH, and TimeoutError where it hangs.
    """
    try:
        return subprocess.run(
            [*command], input=given, capture_output=True, timeout=_BLINK, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{command[0]} did not answer within {_BLINK:g} s") from None


def stop(process: subprocess.Popen[bytes], grace: float = 4.0) -> None:
    """End a program that `start` started, with its whole group, and wait until it is gone.

    It has `grace` seconds to end by itself on SIGTERM; then everything left of it is killed.
    """
    _signal_group(process, signal.SIGTERM)
    if not _ends_within(process, grace):
        _kill_namespace(process)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def _kill_namespace(process: subprocess.Popen[bytes]) -> None:
    """Kill the first process of the namespace and let unshare wait for the namespace's end.

    Killing unshare as well would be as deadly, but then nobody could tell when all are gone.
    """
    if "unshare" not in containment():
        return
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError):
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)
        _ends_within(process, _NAMESPACE_END)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def answer(
    command: Sequence[str], *, given: IO[bytes] | None = None, within: float = 10.0
) -> tuple[int, str]:
    """The exit code of a program that is soon done, and all that it prints.

    Raises FileNotFoundError where the program is not on PATH, TimeoutError where it takes longer.
    """
    stdin = subprocess.DEVNULL if given is None else given
    with tempfile.TemporaryFile() as said:
        with start(command, stdin=stdin, stdout=said, stderr=said) as process:
            try:
                code = process.wait(within)
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"{command[0]} took longer than {within:g} s") from None
            finally:
                stop(process)
        said.seek(0)
        return code, said.read().decode(errors="replace")


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    grace: float = 4.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the length of a with block; afterwards nothing of it is left."""
    with start(command, stdout=stdout, stderr=stderr) as process:
        try:
            yield process
        finally:
            stop(process, grace)
