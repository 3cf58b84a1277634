"""Builds that must end early, and machines that can't isolate: nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from builds import processes
from builds.builders import watched
from builds.builders.base import BuildCancelled, BuildRequest, BuildTimedOut
from builds.builders.nix import NixBuilder
from builds.builders.watched import Watch
from builds.tests.builders.flakes import NETBOOT, Flake
from builds.tests.builders.sinks import Memory
from builds.tests.processes import processes_with

Requests = Callable[..., BuildRequest]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def mark() -> str:
    """A number of seconds that nothing else sleeps."""
    return f"300.{uuid.uuid4().int % 10**12:012}"


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def cancelled_after_line(sink: Memory, line: str) -> Callable[[], bool]:
    return lambda: line in sink.lines


def test_silent_build_is_ended_at_its_silence_limit(
    builder: NixBuilder, request_for: Requests, mark: str
) -> None:
    request = request_for(f"run sleep {mark}", silence_limit=1)
    with pytest.raises(BuildTimedOut, match="printed nothing for 1 second, its silence limit"):
        builder.build(request)
    assert processes_with(mark) == []


def test_long_build_is_ended_at_its_time_limit(
    builder: NixBuilder, request_for: Requests, mark: str
) -> None:
    request = request_for(
        f"while :; do echo tick; run sleep 0.1; done; run sleep {mark}", time_limit=1.5
    )
    with pytest.raises(BuildTimedOut, match=r"longer than its time limit of 1\.5 seconds"):
        builder.build(request)
    assert processes_with(mark) == []


def test_silent_build_is_cancelled_at_once(
    builder: NixBuilder, request_for: Requests, sink: Memory, mark: str
) -> None:
    request = request_for(
        f"echo running; run sleep {mark}",
        cancelled=cancelled_after_line(sink, "demo> running"),
    )
    with pytest.raises(BuildCancelled):
        builder.build(request)
    assert time.monotonic() - sink.times["demo> running"] < 5
    assert processes_with(mark) == []


def test_builder_program_deaf_to_sigterm_is_killed(
    builder: NixBuilder, request_for: Requests, sink: Memory, mark: str
) -> None:
    request = request_for(
        f"trap '' TERM INT HUP; echo running; while :; do run sleep {mark}; done",
        cancelled=cancelled_after_line(sink, "demo> running"),
    )
    with pytest.raises(BuildCancelled):
        builder.build(request)
    assert time.monotonic() - sink.times["demo> running"] < 10
    assert processes_with(mark) == []


def test_program_deaf_to_sigterm_is_killed_within_ten_seconds(mark: str) -> None:
    deaf = ["sh", "-c", f"trap '' TERM; echo up >&2; while :; do sleep {mark}; done"]
    lines: list[bytes] = []
    watch = Watch(lambda: bool(lines), time_limit=60, silence_limit=60)
    started = time.monotonic()
    with pytest.raises(BuildCancelled):
        watched.run(deaf, watch, lines.extend)
    assert time.monotonic() - started < 10
    assert processes_with(mark) == []


def test_build_that_is_cancelled_before_it_starts_starts_nothing(
    builder: NixBuilder, request_for: Requests, sink: Memory
) -> None:
    with pytest.raises(BuildCancelled):
        builder.build(request_for(NETBOOT, cancelled=lambda: True))
    assert sink.lines == []


def test_error_of_the_sink_ends_the_build_too(mark: str) -> None:
    def refuse(lines: list[bytes]) -> None:
        raise RuntimeError(lines)

    command = ["sh", "-c", f"echo up >&2; sleep {mark}"]
    with pytest.raises(RuntimeError, match="up"):
        watched.run(command, Watch(lambda: False, 60, 60), refuse)
    assert processes_with(mark) == []


def test_much_output_on_both_pipes_does_not_block() -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done; exit 3"
    lines: list[bytes] = []
    ended = watched.run(["sh", "-c", script], Watch(lambda: False, 60, 60), lines.extend)
    assert ended.code == 3
    assert len(lines) == ended.output.count(b"\n") == 20000


def test_what_holds_the_pipes_open_does_not_hold_us() -> None:
    started = time.monotonic()
    command = ["sh", "-c", "sleep 30 & echo last >&2"]
    lines: list[bytes] = []
    ended = watched.run(command, Watch(lambda: False, 60, 60), lines.extend)
    assert (ended.code, lines) == (0, [b"last"])
    assert time.monotonic() - started < 5


def test_program_killed_from_outside_is_told_by_its_signal(mark: str) -> None:
    """As the kernel does when memory runs out."""

    def kill(_: list[bytes]) -> None:
        for process in processes_with(mark):
            with contextlib.suppress(ProcessLookupError):  # it went with one that was killed before
                os.kill(process, signal.SIGKILL)

    command = ["sh", "-c", f"echo up >&2; sleep {mark}; true"]
    ended = watched.run(command, Watch(lambda: False, 60, 60), kill)
    assert ended.code in {-signal.SIGKILL, 128 + signal.SIGKILL}


_WORKER = """
    import sys
    from builds.builders.base import BuildRequest, Source
    from builds.builders.nix import NixBuilder
    from builds.builders.nix_command import NixSettings
    from builds.choices import System, Variant
    from builds.tests.builders.flakes import attribute

    class Told:
        def line(self, text): print(text, flush=True)
        def extend(self, texts): print(*texts, sep="\\n", flush=True)
        def progress(self, progress): pass
        def stage(self, stage): pass

    builder = NixBuilder(NixSettings(offline=True))
    pin = builder.pin(Source(sys.argv[1], attribute("demo")))
    request = BuildRequest(
        pin, attribute("demo"), System.X86_64, Variant.NETBOOT, Told(), lambda: False
    )
    print("sandboxed:", builder.build(request).sandboxed)
"""


def worker(flake: Flake, *before: str) -> list[str]:
    """The command of a worker of its own that builds one image."""
    return [*before, sys.executable, "-c", textwrap.dedent(_WORKER), flake.ref]


def test_killed_worker_leaves_nothing_behind(tmp_path: Path, mark: str) -> None:
    script = f"trap '' TERM; echo running; run sleep {mark}"
    flake = Flake(tmp_path / "flake", {"demo": script}).write()
    with subprocess.Popen(worker(flake), cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        guard = threading.Timer(30, child.kill)
        guard.start()
        assert any("running" in line for line in child.stdout)
        assert wait_until(lambda: bool(processes_with(mark)))
        child.kill()
        guard.cancel()
    assert wait_until(lambda: not processes_with(mark), seconds=5)


def test_machine_that_cannot_isolate_builds_without_the_sandbox_and_says_so(
    tmp_path: Path,
) -> None:
    """In a chroot the kernel gives no user namespaces: Nix refuses to sandbox."""
    flake = Flake(tmp_path / "flake", {"demo": NETBOOT}).write()
    root = tmp_path / "root"
    root.mkdir()
    enter = 'mount --rbind / "$0" && exec chroot "$0" env -C "$PWD" "$@"'
    ran = subprocess.run(
        worker(flake, "unshare", "--mount", "sh", "-c", enter, str(root)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.stdout.splitlines()[-1:] == ["sandboxed: False"], ran.stderr
    assert "runs without the sandbox: cannot perform a sandboxed build" in ran.stdout


def test_image_built_without_the_sandbox_earlier_is_still_called_so(tmp_path: Path) -> None:
    """The second build of the same image builds nothing, so Nix itself would not complain."""
    flake = Flake(tmp_path / "flake", {"demo": NETBOOT}).write()
    root = tmp_path / "root"
    root.mkdir()
    enter = 'mount --rbind / "$0" && exec chroot "$0" env -C "$PWD" "$@"'
    command = worker(flake, "unshare", "--mount", "sh", "-c", enter, str(root))
    for _ in range(2):
        ran = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
    assert ran.stdout.splitlines()[-1] == "sandboxed: False"


def test_this_kernel_gives_us_process_namespaces() -> None:
    """As root; the weaker forms are for workers without the right to them."""
    assert "unshare" in processes.containment()


def test_missing_program_is_told_apart_from_one_that_fails() -> None:
    with pytest.raises(FileNotFoundError):
        processes.start(["no-such-program-anywhere"])
