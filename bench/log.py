"""Ratios of the live log: overhead over a bare `nix build`, lines a second, watchers held.

    python bench/log.py build [LINES]           the portal's way beside the bare one, in turns
    python bench/log.py watch [WATCHERS] [THREADS]  page time with idle watchers and without

Everything is made in a folder of its own below the system's temporary one. Run it on a quiet
machine: both halves of a ratio are measured in the same run, but noise does not cancel out.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(tempfile.mkdtemp(prefix="portal-bench-"))
ROUNDS = 4


def main() -> None:
    """Do what the first argument names, in a portal of its own."""
    what, *numbers = sys.argv[1:] or ["build"]
    sys.path.insert(0, str(ROOT))
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATA_DIR": str(FOLDER),
        "DEBUG": "true",
        "NIX_OFFLINE": "true",
    }
    import django  # only now does the environment say where

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    try:
        {"build": build, "watch": watch}[what](*map(int, numbers))
    finally:
        shutil.rmtree(FOLDER)


def build(lines: int = 1_000_000) -> None:
    """The same derivation through the portal and by `nix build` alone, in turns."""
    bare, portal = [], []
    for _ in range(ROUNDS):
        bare.append(bare_build(lines))
        used = time.process_time()
        portal.append(portal_build(lines))
        used = time.process_time() - used
        print(f"bare {bare[-1]:.2f} s, portal {portal[-1]:.2f} s ({used:.2f} s of CPU)", flush=True)
    ratio = min(portal) / min(bare)  # the quietest of each
    print(f"overhead: {100 * (ratio - 1):+.1f}% for {lines:,} lines")
    print(f"lines a second: {lines / min(portal):,.0f}")


def bare_build(lines: int) -> float:
    """Seconds of `nix build` as the portal calls it, its log thrown away."""
    from builds.builders.nix_command import NixSettings, _options, sandbox

    flake = write_flake(lines)
    command = ["nix", *_options(NixSettings(offline=True))]
    command += ["build", "--json", "--no-link", "--no-write-lock-file", *sandbox(on=False)]
    begun = time.perf_counter()
    subprocess.run(
        [*command, "--", f"{flake.ref}#{attribute()}"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def portal_build(lines: int) -> float:
    """Seconds of the part of a portal's build that the bare one has too."""
    from builds.builders.nix import _realise
    from builds.builders.nix_command import NixCalls, NixSettings
    from builds.builders.watched import Watch
    from builds.models import LogChunk
    from builds.pipeline.heartbeat import Heartbeat
    from builds.pipeline.log import BuildLog
    from builds.pipeline.run import CancelWatch, request_for

    row = running_build()
    flake = write_flake(lines)
    type(row.release).objects.filter(pk=row.release_id).update(flake=flake.ref, overrides={})
    row.release.refresh_from_db()
    row.attribute = attribute()
    log = BuildLog(row)
    with Heartbeat(row) as heart:
        request = request_for(row, log, CancelWatch(row, log, heart))
        watch = Watch(request.cancelled, request.time_limit, request.silence_limit)
        begun = time.perf_counter()
        _realise(NixCalls(NixSettings(offline=True), watch, log), request, sandboxed=False)
        log.close()
        took = time.perf_counter() - begun
    last = LogChunk.objects.of(row.pk).last()
    assert last is not None, "no line was written"
    assert last.piece.last > lines, "lines are missing"
    return took


def watch(watchers: int = 300, threads: int = 256) -> None:
    """A page's time on the embedded server with so many idle watchers, and without."""
    import resource

    from conftest import free_port

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    workers = 2 if threads <= 256 else 1  # as the embedded server has
    row = running_build()
    port = free_port()
    config = str(ROOT / "deploy" / "gunicorn_settings.py")
    most = 200 if threads <= 256 else threads - 56
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--config", config, "--workers", str(workers)),
            *("--threads", str(threads), "--worker-connections", str(max(1000, 2 * threads))),
            *("--bind", f"127.0.0.1:{port}", "portal.wsgi"),
        ],
        cwd=ROOT,
        env=os.environ | {"WATCHERS_MOST": str(most)},
    )
    try:
        measure_watchers(port, row.pk, watchers, server.pid)
    finally:
        server.kill()
        server.wait()


def measure_watchers(port: int, build_id: int, watchers: int, pid: int) -> None:
    """Print what watchers cost: those held, page time, memory."""
    from builds.tests.logs.events import Stream

    url = f"http://127.0.0.1:{port}"
    page_time(url, until_up=True)
    page_time(url)  # the first pages load code and templates
    before, memory = page_time(url), resident(pid)
    held = [
        Stream(url, f"/api/v1/builds/{build_id}/events?tail=2000", timeout=120)
        for _ in range(watchers)
    ]
    taken = [stream for stream in held if stream.answer.status == 200]
    for stream in taken:
        next(iter(stream))  # each is really served
    during, more = page_time(url), resident(pid) - memory
    print(f"watchers held: {len(taken)} of {watchers}, the others are asked to poll")
    print(f"page: {1000 * before:.1f} ms without, {1000 * during:.1f} ms with")
    print(f"page time with watchers: {during / before:.2f} times; memory: +{more / 1024:.0f} MiB")
    for stream in held:
        stream.close()


def page_time(url: str, *, until_up: bool = False, pages: int = 60) -> float:
    """The median of a page's seconds."""
    import http.client

    times = []
    while len(times) < (1 if until_up else pages):
        begun = time.perf_counter()
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        try:
            connection.request("GET", "/healthz" if until_up else "/builds/")
            connection.getresponse().read()
            times.append(time.perf_counter() - begun)
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    return statistics.median(times)


def resident(pid: int) -> int:
    """KiB of memory of the server's workers that no other process shares."""
    listed = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    total = 0
    for child in listed:
        text = Path(f"/proc/{child}/smaps_rollup").read_text()
        total += sum(
            int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")
        )
    return total


def running_build():
    """A build that a worker has, with a few lines of log."""
    from django.utils import timezone

    from builds.tests.factories import BuildFactory, write_log

    row = BuildFactory(running=True, started_at=timezone.now())
    row.refresh_from_db()
    if sys.argv[1:2] == ["watch"]:
        write_log(row, [f"line {number}" for number in range(2000)])
    return row


def write_flake(lines: int):
    """A flake whose one image prints so many lines; new to the store each time."""
    from builds.tests.builders.flakes import Flake

    folder = FOLDER / "flake"
    folder.mkdir(exist_ok=True)
    script = (
        f"i=0; while [ $i -lt {lines} ]; do i=$((i+1)); "
        'echo "  CC      drivers/gpu/drm/amd/display/dc/line-$i.o"; done; echo x > $out'
    )
    return Flake(folder, {"lines": script}).write()


def attribute() -> str:
    """The image of that flake."""
    from builds.tests.builders.flakes import attribute as path_of

    return path_of("lines")


if __name__ == "__main__":
    main()
