"""Runs one program under watch: its output as it comes, its limits, a way to cancel it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from builds import processes
from builds.builders.base import BuildCancelled, BuildTimedOut, CancelSignal

_ASK_EVERY = 0.2
_CHUNK = 256 * 1024
# Whoever reads a pipe the moment that something comes is woken for every line, and the writer
# pays for each waking too. More may gather before the next look: little where little came, which
# somebody waits to see, and more where a log flows; the pipe holds what comes meanwhile.
_GATHER = 0.02
_GATHER_FLOW = 0.05
_LITTLE = 8 * 1024
_PIPE_SIZE = 1024 * 1024
_RAW_LINE_LIMIT = 1024 * 1024
_OUTPUT_LIMIT = 64 * 1024 * 1024

OnLines = Callable[[list[bytes]], None]
"""Gets lines of a program's standard error, without their ends, at least one."""


@dataclass(frozen=True, slots=True)
class Watch:
    """When running programs must end early: when told to, after too long, after too long a silence.

    Limits are in seconds; `started` is of the monotonic clock, so that one watch covers several
    programs in a row.
    """

    cancelled: CancelSignal
    time_limit: float
    silence_limit: float
    started: float = field(default_factory=time.monotonic)

    def check(self, heard: float) -> None:
        """Raise BuildCancelled or BuildTimedOut when it is time; `heard` is when output came."""
        now = time.monotonic()
        if self.cancelled():
            raise BuildCancelled("The build was cancelled.")
        if now - self.started > self.time_limit:
            raise BuildTimedOut(
                f"The build took longer than its time limit of {_spoken(self.time_limit)}; "
                "raise the limit or find out what takes so long."
            )
        if now - heard > self.silence_limit:
            raise BuildTimedOut(
                f"The build printed nothing for {_spoken(self.silence_limit)}, its silence limit; "
                "it probably hangs."
            )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code (negative: the signal) and its standard output."""

    code: int
    output: bytes


class Lines:
    """Splits a stream into lines in bounded memory: a line past 1 MiB is dropped with a note."""

    NOTE = b"(a line of more than 1 MiB was left out here)"

    def __init__(self) -> None:
        self._partial = bytearray()
        self._dropping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next piece of the stream; gives the lines that it completes."""
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and (self._partial or self._dropping):
            self._extend(lines[0])
            lines[0] = self._taken()
        self._extend(rest)
        if len(chunk) <= _RAW_LINE_LIMIT:
            return lines
        return [line if len(line) <= _RAW_LINE_LIMIT else self.NOTE for line in lines]

    def rest(self) -> list[bytes]:
        """Give what is left of an unfinished line, at the end of the stream."""
        return [self._taken()] if self._partial or self._dropping else []

    def _taken(self) -> bytes:
        line = self.NOTE if self._dropping else bytes(self._partial)
        self._partial.clear()
        self._dropping = False
        return line

    def _extend(self, piece: bytes) -> None:
        if self._dropping or len(self._partial) + len(piece) > _RAW_LINE_LIMIT:
            self._dropping = True
            self._partial.clear()
        else:
            self._partial += piece


class _Streams:
    """The two pipes of a running program, read as they fill."""

    def __init__(self, process: subprocess.Popen[bytes], on_lines: OnLines) -> None:
        self.output = bytearray()
        self._lines = Lines()
        self._on_lines = on_lines
        self._selector = selectors.DefaultSelector()
        self._register(process.stdout, self._take_output)
        self._register(process.stderr, self._take_log)

    def _register(self, stream: IO[bytes] | None, take: Callable[[bytes], None]) -> None:
        if stream is not None:
            _widen(stream)
            self._selector.register(stream, selectors.EVENT_READ, take)

    def read(self, wait: float) -> int:
        """Read what is there, waiting up to so many seconds; says how many bytes came."""
        heard = 0
        if not self.open:
            return heard
        for key, _ in self._selector.select(wait):
            chunk = os.read(key.fd, _CHUNK)
            if chunk:
                heard += len(chunk)
                key.data(chunk)
            else:
                self._selector.unregister(key.fileobj)
        return heard

    @property
    def open(self) -> bool:
        """Whether anything may still come."""
        return bool(self._selector.get_map())

    def finish(self) -> None:
        """Pass on a last line that lacks its end."""
        if rest := self._lines.rest():
            self._on_lines(rest)

    def close(self) -> None:
        """Let go of the selector; the pipes belong to the process."""
        self._selector.close()

    def _take_output(self, chunk: bytes) -> None:
        if len(self.output) < _OUTPUT_LIMIT:
            self.output += chunk

    def _take_log(self, chunk: bytes) -> None:
        if lines := self._lines.feed(chunk):
            self._on_lines(lines)


def _widen(stream: IO[bytes]) -> None:
    """Let the program write on while we are busy with what it wrote; where that fails, less."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


def run(command: Sequence[str], watch: Watch, on_lines: OnLines) -> Ended:
    """Run a program to its end; `on_lines` gets the lines of its standard error as they come.

    Raises BuildCancelled or BuildTimedOut after everything that it started is gone, and
    FileNotFoundError where it is not on PATH. What `on_lines` raises ends the program too.
    """
    watch.check(heard=time.monotonic())
    pipe = subprocess.PIPE
    with processes.running(command, stdout=pipe, stderr=pipe) as process:
        streams = _Streams(process, on_lines)
        try:
            _follow(process, streams, watch)
            streams.finish()
        finally:
            streams.close()
        return Ended(process.wait(), bytes(streams.output))


def _follow(process: subprocess.Popen[bytes], streams: _Streams, watch: Watch) -> None:
    """Read until the program has ended and its pipes are empty.

    They may never close: something that it left running may hold them.
    """
    heard = asked = time.monotonic()
    while True:
        ended = _has_ended(process, wait=0 if streams.open else _ASK_EVERY)
        if came := streams.read(0 if ended else _ASK_EVERY):
            heard = time.monotonic()
            if came < _CHUNK and not ended:
                time.sleep(_GATHER if came < _LITTLE else _GATHER_FLOW)
        elif ended:
            return
        if time.monotonic() - asked >= _ASK_EVERY:
            asked = time.monotonic()
            watch.check(heard)


def _has_ended(process: subprocess.Popen[bytes], wait: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(wait)
    return process.returncode is not None


def _spoken(seconds: float) -> str:
    """60 → "1 minute"; limits in words."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {unit}" + ("s" if count > 1 else "")
    return f"{seconds:g} second" + ("" if seconds == 1 else "s")
