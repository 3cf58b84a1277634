"""Watchers of a live log: how many are held, what they cost a page, how late lines come."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from django.db import connection
from django.utils import timezone

from bench import stack
from bench.turns import Row, ratios, verdict
from builds.models import Build
from builds.pipeline.log import BuildLog
from builds.tests.factories import BuildFactory

LINES_A_SECOND = 20


def embedded(folder: Path, count: int = 300) -> list[Row]:
    """The server of `make run`: two processes of 256 threads, watchers on both."""
    raise_limit()
    with stack.web(folder) as (url, pid):
        return _measure(f"{count} on the embedded server", url, [pid], count)


def production(folder: Path, count: int = 2000) -> list[Row]:
    """Debian's nginx before the same server and one more process that only serves events."""
    raise_limit()
    with (
        stack.web(folder) as (pages, pages_pid),
        stack.web(folder, *_for_events(count), WATCHERS_MOST=str(count + 100)) as (
            events,
            events_pid,
        ),
        stack.nginx(folder, pages, events) as url,
    ):
        return _measure(f"{count} behind nginx", url, [pages_pid, events_pid], count)


def _for_events(count: int) -> tuple[str, ...]:
    """One process with a thread for each watcher and some more."""
    threads = str(count + 200)
    return ("--workers", "1", "--threads", threads, "--worker-connections", str(2 * count + 400))


def _measure(who: str, url: str, pids: list[int], count: int) -> list[Row]:
    build = BuildFactory(running=True, started_at=timezone.now())
    build.refresh_from_db()
    log = BuildLog(build)
    log.extend([f"line {number}" for number in range(200)])
    log.flush()
    _pages(url, 20)
    memory = sum(map(resident, pids))
    before = _pages(url, 40)
    with _watchers(url, build, count) as watching:
        assert watching.stdin is not None
        assert watching.stdout is not None
        held = json.loads(watching.stdout.readline())["held"]
        more = sum(map(resident, pids)) - memory
        during = _pages(url, 40)
        with _flow(log):
            flowing = _pages(url, 40, pause=0.2)
        watching.stdin.close()
        told_of = json.loads(watching.stdout.readline())
    after = _pages(url, 40)
    quiet = [median(before + after)] * len(before)
    idle, flow = ratios(during, quiet), ratios(flowing, quiet)
    late = told_of["late"]
    return [
        Row(
            f"watchers held of {who}",
            str(held),
            f"+{more / 1024:.0f} MiB",
            str(count),
            "met" if held == count else "missed",
        ),
        Row(
            f"page with {who}, idle, over without ({1000 * quiet[0]:.0f} ms)",
            *_middle(idle),
            "1.0",
            verdict(idle, 1.2),
        ),
        Row(f"page with {who}, {LINES_A_SECOND} lines a second", *_middle(flow)),
        Row(
            f"  a line to all of them ({told_of['lines']:,} came of {told_of['wanted']:,})",
            f"{late[1]:.2f} s",
            f"{late[0]:.2f} s to {late[2]:.2f} s",
            "",
        ),
    ]


def _middle(values: list[float]) -> tuple[str, str]:
    """Median, and the quarters: a page's worst of forty says most of the machine."""
    ordered = sorted(values)
    n = len(ordered)
    return (
        f"{median(values):.2f}",
        f"{ordered[n // 4]:.2f} to {ordered[3 * n // 4]:.2f} (half of them)",
    )


@contextmanager
def _flow(log: BuildLog) -> Iterator[None]:
    """Lines that say when they were written, until the block ends."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(1 / LINES_A_SECOND):
            log.line(f"written {time.time():.3f}")
        log.close()
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        time.sleep(2)


@contextmanager
def _watchers(url: str, build: Build, count: int) -> Iterator[subprocess.Popen[str]]:
    path = f"/api/v1/builds/{build.pk}/events?tail=2000"
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.watching", url, path, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _pages(url: str, count: int, pause: float = 0) -> list[float]:
    times = []
    for _ in range(count):
        time.sleep(pause)
        begun = time.perf_counter()
        code, _ = stack.fetch(url, "/builds/")
        assert code == 200, code
        times.append(time.perf_counter() - begun)
    return times


def resident(pid: int) -> int:
    """KiB of a server's workers that no other process shares."""
    total = 0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        text = Path(f"/proc/{child}/smaps_rollup").read_text()
        total += sum(
            int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")
        )
    return total


def raise_limit() -> None:
    """As many open files as one may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
