"""Debian's and Ubuntu's packages: may we, do they know it, install it, wait for the lock."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from deploy.child import die_with_parent
from deploy.terminal import Refused, say

_LOCKED = re.compile(r"Could not get lock|Unable to acquire|Unable to lock")
_LOCK_PATIENCE = 600.0
_ASK_AGAIN = 2.0


def why_not() -> str:
    """Why no package can be installed here; "" where nothing is in the way."""
    if os.environ.get("SKIP_SYSTEM", "").strip() not in {"", "0"}:
        return "SKIP_SYSTEM is set"
    if shutil.which("apt-get") is None:
        return "this is neither Debian nor Ubuntu"
    if os.geteuid() != 0:
        return "only root can install"
    return ""


class Apt:
    """Calls apt-get, one call at a time, its output in a log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._running: subprocess.Popen[str] | None = None
        self._is_stopping = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)

    def install(self, packages: Sequence[str]) -> None:
        """Install packages; those that the archive does not know are left out with a line.

        Raises Refused with apt's own reason.
        """
        unknown = self._unknown(packages)
        is_fresh = bool(unknown)
        if unknown:
            self._call("update")
            unknown = self._unknown(packages)
        for package in unknown:
            say(f"this system's archive has no package {package}")
        known = [package for package in packages if package not in unknown]
        if not known:
            return
        words = ("install", "-y", "--no-install-recommends", *known)
        if is_fresh:
            self._call(*words)
            return
        try:
            self._call(*words)
        except Refused:
            # The lists may be older than what the archive still has.
            self._call("update")
            self._call(*words)

    def _unknown(self, packages: Sequence[str]) -> list[str]:
        """Those that apt has no candidate for."""
        command = ["apt-cache", "policy", *packages]
        shown = subprocess.run(command, capture_output=True, text=True, check=False, env=_plain())
        has_candidate = dict(
            re.findall(r"^(\S+):\n.*\n  Candidate: (.*)$", shown.stdout, re.MULTILINE)
        )
        return [name for name in packages if has_candidate.get(name, "(none)") == "(none)"]

    def _call(self, *words: str) -> None:
        deadline = time.monotonic() + _LOCK_PATIENCE
        is_told = False
        while True:
            code, said = self._once(*words)
            if self._is_stopping:
                sys.exit(130)
            if code == 0:
                return
            if not _LOCKED.search(said) or time.monotonic() > deadline:
                errors = [line for line in said.splitlines() if line.startswith("E: ")]
                reason = (errors or said.splitlines() or ["it said nothing"])[0]
                raise Refused(f"apt-get {words[0]} failed: {reason} (more in {self._log})")
            if not is_told:
                say("another program is using apt; waits for it to end")
                is_told = True
            time.sleep(_ASK_AGAIN)

    def _once(self, *words: str) -> tuple[int, str]:
        parent = os.getpid()
        with (
            self._log.open("a") as log,
            subprocess.Popen(
                ["apt-get", "-q", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=_plain(),
                start_new_session=True,
                # Safe here: this program has one thread. SIGINT lets apt end what dpkg is at.
                preexec_fn=lambda: die_with_parent(parent, signal.SIGINT),  # noqa: PLW1509
            ) as self._running,
        ):
            lines = []
            for line in self._running.stdout or ():
                log.write(line)
                lines.append(line)
        return self._running.returncode, "".join(lines)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True
        if self._running is None or self._running.poll() is not None:
            sys.exit(130)
        self._running.send_signal(signal.SIGINT)


def _plain() -> dict[str, str]:
    """Let apt ask no questions, and say things in the words that we look for."""
    return {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
