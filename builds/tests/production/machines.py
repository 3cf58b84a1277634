"""Machines as network namespaces: what runs in one reaches the others by the network only."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """A namespace, and words that run a command in it."""

    name: str

    @property
    def words(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)


@dataclass(frozen=True)
class Network:
    """Where the servers listen, and the machines that reach them there."""

    address: str
    machines: tuple[Machine, ...]


@contextlib.contextmanager
def network(*names: str) -> Iterator[Network]:
    """A machine for each name, each on a cable of its own to this one."""
    number = os.getpid() % 200  # of tests that run side by side
    servers = f"10.{number + 20}.0.1"
    with contextlib.ExitStack() as stack:
        machines = []
        for place, name in enumerate(names):
            machine = Machine(f"portal-{os.getpid()}-{name}")
            here, there = f"p{os.getpid() % 10**6}h{place}", f"p{os.getpid() % 10**6}t{place}"
            _ip("netns", "add", machine.name)
            stack.callback(_ip, "netns", "del", machine.name)
            _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", machine.name)
            _ip("addr", "add", f"10.{number + 20}.{place}.1/24", "dev", here)
            _ip("link", "set", here, "up")
            inside = ("-n", machine.name)
            _ip(*inside, "link", "set", "lo", "up")
            _ip(*inside, "addr", "add", f"10.{number + 20}.{place}.2/24", "dev", there)
            _ip(*inside, "link", "set", there, "up")
            _ip(*inside, "route", "add", "default", "via", f"10.{number + 20}.{place}.1")
            machines.append(machine)
        yield Network(servers, tuple(machines))


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
