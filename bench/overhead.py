"""The same derivation through the portal and by `nix build` alone, in turns."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.turns import Row, cost_of, in_turns, percent, ratios, told, verdict
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings, _options, sandbox
from builds.choices import BuildStatus
from builds.models import Build, LogChunk
from builds.pipeline import archive_log
from builds.pipeline import run as run_build
from builds.tests.builders.flakes import NETBOOT, Flake, attribute
from builds.tests.factories import BuildFactory

PLAIN = 'echo "  CC      drivers/gpu/drm/amd/display/dc/line-$i.o"'
# Between two lines a counting loop, the work that they tell of; a program of its own on each core.
BUSY = """
busy() {
  i=0
  while [ $i -lt %(lines)d ]; do
    i=$((i+1)); %(line)s
    k=0; while [ $k -lt 80 ]; do k=$((k+1)); done
  done
}
%(starts)s
wait
"""
COLOURED = """printf '\\033[32mgcc\\033[0m\\t-D"X" -c display/dc/line-%s.o\\n' $i"""


def small(folder: Path, rounds: int) -> list[Row]:
    """A build of nothing much: what the portal adds in seconds."""
    costs = in_turns(Ways(folder, NETBOOT).both(), rounds)
    bare, ours = costs["nix build -L"], costs["the portal"]
    more = [our.wall - their.wall for our, their in zip(ours, bare, strict=True)]
    value, spread = told(more, lambda seconds: f"{seconds:+.2f} s")
    cpu, _ = told(
        [our.cpu - their.cpu for our, their in zip(ours, bare, strict=True)], "{:+.2f} s".format
    )
    what = f"small image: the portal over `nix build -L` (CPU {cpu})"
    return [Row(what, value, spread, "< 0.5 s or 3%", verdict(more, 0.5))]


def long_log(folder: Path, rounds: int, lines: int, line: str = PLAIN) -> list[Row]:
    """A build that does nothing but print: what the log costs."""
    script = f"i=0; while [ $i -lt {lines} ]; do i=$((i+1)); {line}; done\n{NETBOOT}"
    ways = Ways(folder, script, least_lines=lines)
    costs = in_turns(ways.all(), rounds)
    bare, ours = costs["nix build -L"], costs["the portal"]
    kind = "coloured " if line == COLOURED else ""
    rows = []
    wall = ratios([cost.wall for cost in ours], [cost.wall for cost in bare])
    said = f"{lines:,} {kind}lines of log: the portal over `nix build -L`"
    rows.append(Row(f"{said}, time", *told(wall, percent), "< +5%", verdict(wall, 1.05)))
    cpu = ratios([cost.cpu for cost in ours], [cost.cpu for cost in bare])
    rows.append(Row(f"{said}, CPU of all processes", *told(cpu, percent)))
    json = ratios(
        [cost.wall for cost in costs["its JSON to /dev/null"]], [cost.wall for cost in bare]
    )
    rows.append(Row("  of that, Nix's own JSON log with nobody reading", *told(json, percent)))
    rate = [lines / cost.wall for cost in ours]
    rows.append(Row(f"{kind}lines a second through the log", *told(rate, "{:,.0f}".format)))
    rows.append(Row("  packing it afterwards", f"{ways.pack():.2f} s of CPU", ""))
    return rows


def busy_log(folder: Path, rounds: int, lines: int) -> list[Row]:
    """As many lines from programs that work as well, one on each core, as a compilation does."""
    cores = os.cpu_count() or 1
    starts = "busy & " * cores
    script = BUSY % {"lines": -(-lines // cores), "line": PLAIN, "starts": starts}
    costs = in_turns(Ways(folder, f"{script}\n{NETBOOT}", least_lines=lines).both(), rounds)
    bare, ours = costs["nix build -L"], costs["the portal"]
    wall = ratios([cost.wall for cost in ours], [cost.wall for cost in bare])
    rate, _ = told([lines / cost.wall for cost in bare], "{:,.0f}".format)
    said = (
        f"{lines:,} lines, {rate} a second from work on every core: the portal over `nix build -L`"
    )
    return [Row(said, *told(wall, percent), "< +5%", verdict(wall, 1.05))]


class Ways:
    """The ways to build one script; each time it is new to the store."""

    def __init__(self, folder: Path, script: str, least_lines: int = 0) -> None:
        self._folder = folder
        self._script = script
        self._least_lines = least_lines
        self._settings = NixSettings(offline=True)
        self._last: Build | None = None

    def both(self) -> dict[str, Callable[[], None]]:
        """What a person would run, and the portal."""
        return {"nix build -L": self._bare, "the portal": self._portal}

    def all(self) -> dict[str, Callable[[], None]]:
        """The same, and Nix with the JSON log that the portal reads."""
        return {
            "nix build -L": self._bare,
            "its JSON to /dev/null": self._json,
            "the portal": self._portal,
        }

    def pack(self) -> float:
        """Seconds of CPU for the archive of the last log."""
        last = self._last
        assert last is not None
        return cost_of(lambda: archive_log(last)).cpu

    def _bare(self) -> None:
        options = _options(self._settings)
        at = options.index("--log-format")
        del options[at : at + 2]
        self._nix([*options, "build", "-L"], self._folder / "bare.log")

    def _json(self) -> None:
        self._nix([*_options(self._settings), "build"], Path("/dev/null"))

    def _nix(self, words: list[str], log: Path) -> None:
        flake = self._flake()
        words += ["--json", "--no-link", "--no-write-lock-file", *sandbox(on=False)]
        with log.open("wb") as file:
            subprocess.run(
                [self._settings.program, *words, "--", f"{flake.ref}#{attribute('netboot')}"],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,  # as the portal does it
            )

    def _portal(self) -> None:
        build = BuildFactory(attribute=attribute("netboot"))
        release = build.release
        type(release).objects.filter(pk=release.pk).update(flake=self._flake().ref, overrides={})
        release.refresh_from_db()
        build.refresh_from_db()
        run_build(build, NixBuilder(self._settings), worker="bench")
        build.refresh_from_db()
        assert build.status == BuildStatus.SUCCEEDED, build.error
        last = LogChunk.objects.of(build.pk).last()
        assert last is not None, "no line was written"
        assert last.piece.last >= self._least_lines, "lines are missing"
        self._last = build

    def _flake(self) -> Flake:
        folder = self._folder / "flake"
        folder.mkdir(exist_ok=True)
        return Flake(folder, {"netboot": self._script}, versions={"netboot": "26.05.bench"}).write()
