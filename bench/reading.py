"""The page of a build and its log while 1,000,000 lines flow, and from the archive afterwards."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from django.utils import timezone

from bench import stack
from bench.turns import Row, ratios, told, verdict
from builds.models import Build
from builds.pipeline import archive_log
from builds.tests.factories import BuildFactory, write_log

TURNS = 25
Builds = tuple[Build, Build, Build]
_WRITER = """
import django, sys, time
django.setup()
from builds.models import Build
from builds.pipeline.log import BuildLog
log = BuildLog(Build.objects.get(pk=int(sys.argv[1])))
last, rate = int(sys.argv[2]), 60_000
begun = time.monotonic()
for first in range(1, last + 1, 1000):
    text = "demo>   CC      drivers/gpu/drm/amd/display/dc/line-{}.o"
    log.extend([text.format(n) for n in range(first, first + 1000)])
    time.sleep(max(0, begun + first / rate - time.monotonic()))
log.close()
print("written", flush=True)
"""


def reading(folder: Path, lines: int) -> list[Row]:
    """Ratios to a build with 100 lines and one with 2,000, which is what a page shows at most."""
    few, usual, many = builds = (_running(), _running(), _running())
    write_log(few, [f"line {n}" for n in range(100)])
    write_log(usual, [_line(n) for n in range(2000)])
    rows: list[Row] = []
    with stack.web(folder) as (url, _):
        quiet = [_time(url, f"/builds/{usual.pk}/") for _ in range(10)]
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(many.pk), str(lines)])
        time.sleep(2)
        rows += _rows("while lines flow", url, builds, lambda: writer.poll() is None)
        assert writer.wait(600) == 0, "the lines were not written"
        rows += _rows("with all lines in the database", url, builds)
        many.refresh_from_db()
        many.fail("It broke.", kind="x", excerpt="", may_retry=False)
        begun = time.perf_counter()
        archive_log(many)
        took = time.perf_counter() - begun
        rows += _rows("from the archive", url, builds)
        for name, path in _paths(usual, many, lines):
            rows.append(
                Row(f"from the archive: {name}", *told(_each(url, path), "{:.0f} ms".format))
            )
        rows.append(Row(f"packing {lines:,} lines", f"{took:.1f} s", ""))
    print(f"  the page of 2,000 lines on a quiet server: {1000 * median(quiet):.0f} ms")
    return rows


def _rows(
    when: str, url: str, builds: Builds, still: Callable[[], bool] = lambda: True
) -> list[Row]:
    few, usual, many = builds
    rows = []
    kinds = {
        "page": "/builds/{}/",
        "lines (the last 2,000)": "/api/v1/builds/{}/lines",
        "log as text (its last 100 lines)": "/api/v1/builds/{}/log?from={}&to=99999999",
    }
    for kind, path in kinds.items():
        ours: list[float] = []
        theirs: list[float] = []
        small: list[float] = []
        for _ in range(TURNS):
            if not still():
                break
            for build, into in ((many, ours), (usual, theirs), (few, small)):
                where = (
                    path.format(build.pk, max(1, _last(build) - 99))
                    if "{}&" in path
                    else path.format(build.pk)
                )
                into.append(_time(url, where))
        if not ours:
            continue
        shares = ratios(ours, theirs)
        value, spread = told(shares, "{:.2f}".format)
        beside = median(ratios(ours, small))
        what = f"{kind} {when}, over that of a build with 2,000 lines ({beside:.2f} over 100 lines)"
        rows.append(Row(what, value, spread, "1.0", verdict(shares, 1.1)))
    return rows


def _paths(usual: Build, many: Build, lines: int) -> list[tuple[str, str]]:
    return [
        (f"page at #L{lines - 1}", f"/builds/{many.pk}/?from={lines - 1001}"),
        ("page at a line in the middle", f"/builds/{many.pk}/?from={lines // 2}"),
        ("page at the first line", f"/builds/{many.pk}/?from=1"),
        ("page of 2,000 lines of another build", f"/builds/{usual.pk}/"),
    ]


def _each(url: str, path: str) -> list[float]:
    return [1000 * _time(url, path) for _ in range(10)]


def _time(url: str, path: str) -> float:
    begun = time.perf_counter()
    code, _ = stack.fetch(url, path)
    assert code == 200, (path, code)
    return time.perf_counter() - begun


def _last(build: Build) -> int:
    from builds import logs

    return logs.last_line(build.pk)


def _line(number: int) -> str:
    return f"demo>   CC      drivers/gpu/drm/amd/display/dc/line-{number}.o"


def _running() -> Build:
    build = BuildFactory(running=True, started_at=timezone.now())
    build.refresh_from_db()
    return build
