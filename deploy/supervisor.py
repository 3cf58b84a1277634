"""Starts programs, prints their lines, starts them again when they fall, and stops them all."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from deploy.child import Child, Service, adopt_orphans, descendants
from deploy.terminal import Refused, say

STOP_WITHIN = 6.0
STOP_SERVERS_WITHIN = 2.0
MOST_FALLS = 5
FORGIVEN_AFTER = 60.0
_TURN = 0.2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """Somebody asked for the end: Ctrl-C, SIGTERM, or a terminal that was closed."""


class Supervisor:
    """Owns every process that a command starts; leaving its `with` block leaves none behind."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._children: list[Child] = []
        self._due: list[tuple[float, Service]] = []
        self._falls: dict[str, list[float]] = {}
        self._asked = 0
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        adopt_orphans(on=True)
        for number in _SIGNALS:
            signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._asked = 0
        self._stop()
        self._selector.close()
        adopt_orphans(on=False)  # it would last through an exec
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    # What one does with it.

    def start(self, service: Service) -> Child:
        """Start a service."""
        child = Child(service, self._folder, self._environment)
        self._children.append(child)
        if child.process.stdout is not None:
            self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        return child

    def finish(self, service: Service) -> int:
        """Run a program to its end while the others go on; its exit code. Raises Stopped."""
        child = self.start(service)
        while self.has(child):
            self.turn()
        return child.process.returncode

    def has(self, child: Child) -> bool:
        """Whether a child has not ended yet."""
        return child in self._children

    def turn(self) -> None:
        """See to everything once. Raises Stopped, and Refused where one can't live."""
        for child in self._pass_on(_TURN):
            self._ended(child)
        now = time.monotonic()
        for at, service in list(self._due):
            if at <= now:
                self._due.remove((at, service))
                self.start(service)
        if self._asked:
            raise Stopped

    # The end of one.

    def _ended(self, child: Child) -> None:
        service = child.service
        if not service.restarts:
            return
        now = time.monotonic()
        falls = [at for at in self._falls.get(service.name, []) if now - at < FORGIVEN_AFTER]
        self._falls[service.name] = [*falls, now]
        if len(falls) + 1 >= MOST_FALLS:
            raise Refused(f"{service.name} {child.fate}, {MOST_FALLS} times within a minute")
        pause = 2.0 ** len(falls)
        say(f"{service.name} {child.fate}; it starts again in {pause:g} s")
        self._due.append((now + pause, service))

    # The end of all.

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1

    def _stop(self) -> None:
        """Ask all, wait a little, kill what is left; a second Ctrl-C waits no longer."""
        servers = [child for child in self._children if child.service.serves_others]
        others = [child for child in self._children if not child.service.serves_others]
        self._stop_these(others, STOP_WITHIN)
        self._stop_these(servers, STOP_SERVERS_WITHIN)
        while left := descendants():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._pass_on(0.05)

    def _stop_these(self, children: list[Child], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for child in children:
            child.ask_to_stop()
            if child.service.is_patient:
                say(f"{child.service.name} comes to a safe end first; Ctrl-C again does not wait")
        while left := [child for child in children if child in self._children]:
            is_late = time.monotonic() > deadline
            for child in left:
                if self._asked or (is_late and not child.service.is_patient):
                    child.kill()
            self._pass_on(0.05)

    # The moment's work, whatever the state.

    def _pass_on(self, wait: float) -> list[Child]:
        """Print what came within `wait` seconds, and bury the dead; those of ours that ended."""
        for key, _ in self._select(wait):
            child: Child = key.data
            if not child.relay():
                self._selector.unregister(key.fileobj)
        ended = [child for child in self._children if child.process.poll() is not None]
        for child in ended:
            self._children.remove(child)
            stream = child.process.stdout
            if stream is not None and stream.fileno() in self._selector.get_map():
                self._selector.unregister(stream)
            child.close()
        self._bury_orphans()
        return ended

    def _select(self, wait: float) -> list[tuple[selectors.SelectorKey, int]]:
        if self._selector.get_map():
            return self._selector.select(wait)
        time.sleep(wait)
        return []

    def _bury_orphans(self) -> None:
        """Collect adopted processes that have ended; our own are left to their Popen."""
        own = {child.process.pid for child in self._children}
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in own:
                    return  # the next turn sees it, and comes back for the rest
                os.waitpid(ended.si_pid, 0)
