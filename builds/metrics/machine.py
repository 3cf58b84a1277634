"""The web processes and the disks of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from prometheus_client.metrics_core import Metric

from builds.metrics.families import counter, gauge, plain
from builds.pipeline import space

PROC = Path("/proc")
ARBITER = "GUNICORN_ARBITER"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: seconds of processor of its own and of its dead children, bytes, counts."""

    parent: int
    cpu: float
    cpu_of_dead: float
    threads: int
    started: float
    resident: int
    files: int


def disks() -> Iterator[Metric]:
    """What is free where this machine's builds and files lie."""
    names = {"the Nix store": "store", "the data folder": "data"}
    numbers = [((names[name],), space.free(path)) for name, path in space.places().items()]
    yield gauge("portal_disk_free_bytes", "What is free on this machine.", ("place",), numbers)
    least = settings.DISK_FREE_LEAST
    yield plain("portal_disk_free_least_bytes", "What a build is to find free.", least)


def processes() -> Iterator[Metric]:
    """All web processes together, under the names that dashboards know."""
    found = list(_web())
    if not found:
        return  # no Linux
    cpu = sum(process.cpu for process in found) + found[0].cpu_of_dead
    yield counter("process_cpu_seconds", "Processor time of all web processes.", (), [((), cpu)])
    for name, text, number in (
        ("resident_memory_bytes", "Memory of all web processes.", sum(p.resident for p in found)),
        ("open_fds", "Open files of all web processes.", sum(p.files for p in found)),
        ("max_fds", "Files that one process may open.", os.sysconf("SC_OPEN_MAX")),
        ("threads", "Threads of all web processes.", sum(p.threads for p in found)),
        ("start_time_seconds", "When the first started, in Unix time.", found[0].started),
    ):
        yield plain(f"process_{name}", text, number)
    yield plain("portal_web_processes", "Processes that answer requests.", max(len(found) - 1, 1))


def _web() -> Iterator[Process]:
    """Gunicorn's arbiter and its workers, the arbiter first; elsewhere this process."""
    first = int(os.environ.get(ARBITER) or os.getpid())
    pids = sorted(int(folder.name) for folder in PROC.glob("[0-9]*"))
    for pid in (first, *(pid for pid in pids if pid != first)):
        with suppress(OSError, ValueError):
            if pid == first or _parent(pid) == first:
                yield _read(pid)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on, as proc(5) counts them."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _read(pid: int) -> Process:
    fields = _stat(pid)
    user, system, dead_user, dead_system = (int(field) for field in fields[11:15])
    return Process(
        parent=int(fields[1]),
        cpu=(user + system) / _TICKS,
        cpu_of_dead=(dead_user + dead_system) / _TICKS,
        threads=int(fields[17]),
        started=_booted_at() + int(fields[19]) / _TICKS,
        resident=int(fields[21]) * _PAGE,
        files=sum(1 for _ in (PROC / str(pid) / "fd").iterdir()),
    )


def _booted_at() -> int:
    lines = (PROC / "stat").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("btime")).split()[1])
