"""`python -m bench.load [--minutes 10] [--rate 1000]`: mixed reads while it builds and publishes.

Everything that deploy/ starts runs on this machine (see bench.production), with a build that works
on one core for as long. A run of ten minutes at 1,000 is kept in docs/performance.md; `--keep`
keeps any.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import production, stack
from bench.ground import option
from bench.turns import Row

PUBLISH_EVERY = 10  # seconds
SET_UP = 300  # seconds in which everything has started; the build goes on for longer
GOAL = 0.15
FILES = "/releases/download/demo"
# How often each is asked for among the others: machines come by the thousand, people by the dozen.
MIX = {
    "/api/v1/latest/demo/x86_64-linux/": 300,
    f"{FILES}/SHA256SUMS": 150,
    f"{FILES}/latest-x86_64-linux.json": 100,
    f"{FILES}/netboot-x86_64-linux.ipxe": 100,
    f"{FILES}/week.0/bzImage-x86_64-linux": 100,
    f"{FILES}/week.0/initrd-x86_64-linux": 100,
    f"{FILES}/nixos-kexec-installer-x86_64-linux.tar.gz": 50,
    "/k/demo": 20,
    "/boot.ipxe": 10,
    "/": 10,
    f"{FILES}/SHA256SUMS.sig": 10,
    "/streams/demo.json": 10,
    "/feed.atom": 10,
    "/api/v1/releases/": 10,
    "/channels/demo/x86_64-linux/": 10,
    "/api/v1/channels/": 5,
    "/builds/": 5,
}
# On one core until so many seconds after the machine's start, with a line every few milliseconds.
WORK = """
while read -r now rest < /proc/uptime && [ "${now%%%%.*}" -lt %d ]; do
  echo "  CC      drivers/gpu/drm/amd/display/dc/line-$now.o"
  k=0; while [ $k -lt 50000 ]; do k=$((k+1)); done
done
"""


def main() -> None:
    """Run, print the table, and end with an error where a goal was missed."""
    minutes, rate = option(sys.argv, "--minutes", 10), option(sys.argv, "--rate", 1000)
    with production.grounded() as folder:
        from bench.report import Report

        report = Report()
        report.parts["load"] = load(folder, 60 * minutes, rate)
        report.show()
        if "--keep" in sys.argv or (minutes >= 10 and rate >= 1000):
            report.keep()
    sys.exit(any(row.meets == "missed" for row in report.parts["load"]))


def load(folder: Path, seconds: float, rate: float) -> list[Row]:
    """So many reads a second for so long."""
    with shape(folder, seconds) as (url, publishing):
        _warm_up(url, folder / "web.log")
        before = _published()
        told = ask(url, rate, seconds)
        assert publishing.poll() is None, "the publisher broke off"
        building = _builds_running()
        published = _published() - before
    taken = sorted(told["taken"])
    errors = sum(told["errors"].values())
    p99 = _at(taken, 0.99)
    slowest = max(told["slowest"], key=told["slowest"].get, default="")
    said = f"{rate:,.0f} reads a second for {seconds / 60:.0f} minutes"
    return [
        Row(
            f"{said}: errors of {told['asked']:,}",
            str(errors),
            errors_of(told),
            "0",
            _meets(errors == 0),
        ),
        Row("  p99", _ms(p99), "", f"< {1000 * GOAL:.0f} ms", _meets(p99 < GOAL)),
        Row("  median, and 90 of 100", _ms(_at(taken, 0.5)), _ms(_at(taken, 0.9))),
        Row("  the slowest", _ms(taken[-1]) if taken else "none", slowest),
        Row("reads a second that were answered", f"{len(taken) / seconds:,.0f}", ""),
        Row("  the asking program behind its plan, at most", _ms(told["late"]), ""),
        Row(
            "  published meanwhile; builds that still ran at the end",
            f"{published}; {building}",
            "",
            f"{seconds / PUBLISH_EVERY * 0.8:.0f}; 1",
            _meets(published >= seconds / PUBLISH_EVERY * 0.8 and building == 1),
        ),
    ]


def ask(url: str, rate: float, seconds: float) -> dict[str, Any]:
    """What `bench.pace` tells of the mix, in a process of its own."""
    command = [sys.executable, "-m", "bench.pace", url, str(rate), str(seconds)]
    mix = "".join(f"{weight} {path}\n" for path, weight in MIX.items())
    asked = subprocess.run(command, input=mix, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(asked.stdout)
    return told


def errors_of(told: dict[str, Any]) -> str:
    """The kinds of errors, and how many of each; "" for none."""
    return ", ".join(f"{count} of {what}" for what, count in list(told["errors"].items())[:3])


@contextmanager
def shape(
    folder: Path, seconds: float, every: float = PUBLISH_EVERY
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The whole portal with a first release, a build, and who publishes; address and publisher."""
    with ExitStack() as opened:
        url = opened.enter_context(production.running(folder))
        _build(folder / "working", seconds + SET_UP)
        publishing = [sys.executable, "-u", "-m", "builds.tests.load.publisher", "1000000"]
        out = folder / "publisher.log"
        program = opened.enter_context(stack.running([*publishing, str(every)], out))
        _wait_for(out, b"ready", program)
        stack.wait(lambda: _builds_running() > 0)
        yield url, program


def _build(folder: Path, seconds: float) -> None:
    """A channel of its own with a build that takes so long."""
    from bench.first_line import channel_of
    from builds import pipeline, tasks
    from builds.choices import System, Trigger
    from builds.tests.builders.flakes import NETBOOT, SYSTEM

    uptime = float(Path("/proc/uptime").read_text().split()[0])
    script = WORK % (uptime + seconds) + NETBOOT
    [release] = pipeline.trigger(
        channel_of(folder, script), [System(SYSTEM)], why=Trigger.ADMIN, forced=True
    )
    tasks.move_on(release)


def _published() -> int:
    from builds.models import Release

    return Release.objects.published().count()


def _builds_running() -> int:
    from builds.choices import BuildStatus
    from builds.models import Build

    return Build.objects.filter(status=BuildStatus.RUNNING).count()


def _warm_up(url: str, log: Path) -> None:
    for path in MIX:
        for _ in range(4):
            code, _ = stack.fetch(url, path)
            assert code == 200, (path, code, log.read_text()[-2000:])


def _wait_for(log: Path, text: bytes, program: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while text not in log.read_bytes():
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < until, "the first release was not published"
        time.sleep(0.1)


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _meets(is_met: bool) -> str:  # noqa: FBT001 - it is what is said
    return "met" if is_met else "missed"


if __name__ == "__main__":
    main()
