"""`manage.py boot` in a terminal: a running portal's releases, each booted as a person would."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings

from builds.tests.processes import processes_with
from builds.tests.whole_way.conftest import Portal

Records = dict[str, dict[str, Any]]
LEAVE = b"\x1d"


@dataclass
class Terminal:
    """A terminal with a program in it."""

    descriptor: int
    process: subprocess.Popen[bytes]
    said: str = ""

    def wait_for(self, pattern: str, seconds: float) -> str:
        """Read until a pattern shows."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < deadline, f"no {pattern!r}:\n{self.said}"
            assert self._read() or self.process.poll() is None, f"it ended:\n{self.said}"
        return found[0]

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def end(self, seconds: float) -> int:
        """Read on until the program has ended; its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on:\n{self.said}"
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], 0.2)
        try:
            piece = os.read(self.descriptor, 65536) if ready else b""
        except OSError:  # the program has closed its side
            piece = b""
        self.said += piece.decode(errors="replace")
        return bool(piece)


@contextmanager
def boot(portal: Portal, *arguments: str) -> Iterator[Terminal]:
    """`manage.py boot` of the portal, in a terminal."""
    ours, inside = pty.openpty()
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "boot", *arguments]
    try:
        with subprocess.Popen(
            [*command, "--portal", portal.url],
            env=portal.environment,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        ) as process:
            os.close(inside)
            try:
                yield Terminal(ours, process)
            finally:
                process.kill()
    finally:
        os.close(ours)


@pytest.mark.timeout(600)
def test_netboot_by_ipxe_powers_off_by_a_parameter_and_leaves_nothing(
    portal: Portal, demo: Records
) -> None:
    version = demo["x86_64-linux"]["version"]
    with boot(portal, "demo", "--append", "quiet mini.poweroff") as terminal:
        terminal.wait_for(r"iPXE \(bios\) loads http://10\.0\.2\.2:", 60)
        terminal.wait_for(r"accelerator: (kvm|tcg)\. ", 30)
        terminal.wait_for(r"Ctrl-\] ends the machine", 30)
        terminal.wait_for(re.escape(f"mini image is up: x86_64-linux {version}"), 250)
        assert terminal.end(60) == 0
    assert "The machine has ended." in terminal.said
    assert processes_with(f":{portal.port}/boot/demo/") == []


@pytest.mark.timeout(600)
def test_keys_go_to_the_guest_until_the_person_leaves(portal: Portal, demo: Records) -> None:
    system = "aarch64-linux"
    [initrd] = [a for a in demo[system]["artifacts"] if a["role"] == "initrd"]
    with boot(portal, "demo", "--system", system, "--memory", "512") as terminal:
        terminal.wait_for(f"sha256 {initrd['sha256']} verified", 90)
        terminal.wait_for(r"loaded by QEMU, with 512 MiB", 30)
        terminal.wait_for(r"mini:~# ", 250)
        terminal.type(b"echo answer-$((40 + 2))\r")
        terminal.wait_for("answer-42", 30)
        # Ctrl-C is the guest's. Its shell has the trap before it says that it sleeps.
        awake = 'trap "echo awake-\\$((1 + 2)); exit" INT'
        loop = "while :; do sleep 1; done"
        terminal.type(f"sh -c '{awake}; echo asleep-$((1 + 1)); {loop}'\r".encode())
        terminal.wait_for("asleep-2", 30)
        terminal.type(b"\x03")
        terminal.wait_for("awake-3", 30)
        terminal.type(LEAVE)
        assert terminal.end(30) == 0
    assert "The machine was ended." in terminal.said
    assert processes_with(initrd["sha256"]) == []


@pytest.mark.timeout(600)
def test_kexec_tarball_is_booted_from_a_running_linux(portal: Portal, demo: Records) -> None:
    version = demo["x86_64-linux"]["version"]
    arguments = ("--variant", "kexec-installer", "--version", version)
    with boot(portal, "demo", *arguments, "--append", "mini.poweroff") as terminal:
        terminal.wait_for("machine will boot into nixos", 250)
        assert terminal.end(250) == 0
    assert "x86_64-linux.tar.gz: OK" in terminal.said
    assert terminal.said.count(f"mini image is up: x86_64-linux {version}") == 2
