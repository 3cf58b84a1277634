"""Every public page and read of the API over 1,000 artifacts and over 1,000,000, in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import stack
from bench.grown import CHANNELS
from bench.turns import Row, ratios
from builds.tests import postgresql

GOAL = 1.2
TURNS = 15
PER_RELEASE = 4  # artifacts of a release of builds.management.crowd
GOOD = 8 / 9  # of its releases; the others failed and have none


@dataclass(frozen=True, slots=True)
class Page:
    """A page, where it is, and how many queries make it."""

    name: str
    path: str
    queries: int


@dataclass(frozen=True, slots=True)
class Grown:
    """A portal over so many artifacts: its address, and what is asked of it."""

    url: str
    artifacts: int
    pages: list[Page]


def growth(folder: Path, artifacts: int, server: str = "") -> list[Row]:
    """Over a small and a large database that differ in the length of their history alone.

    `server` is the URL of a PostgreSQL server, without a database's name; "" takes SQLite.
    """
    with (
        _grown(folder / f"small{bool(server):d}", 1000, server) as small,
        _grown(folder / f"large{bool(server):d}", artifacts, server) as large,
    ):
        pairs = list(zip(small.pages, large.pages, strict=True))
        times = {}
        for number, (few, many) in enumerate(pairs, 1):
            times[few.name] = _both(small.url + few.path, large.url + many.path)
            share = median(ratios(*times[few.name]))
            print(f"  {number} of {len(pairs)}, {few.name}: {share:.2f}", flush=True)
    more = [
        f"{few.name} {few.queries} to {many.queries}"
        for few, many in pairs
        if many.queries != few.queries
    ]
    shares = {name: ratios(ours, theirs) for name, (ours, theirs) in times.items()}
    slow = {name: each for name, each in shares.items() if median(each) >= GOAL}
    worst = max(shares, key=lambda name: median(shares[name]))
    kind = "PostgreSQL" if server else "SQLite"
    said = f"{large.artifacts:,} artifacts over {small.artifacts:,}"
    middle = [median(each) for each in shares.values()]
    rows = [
        Row(
            f"{kind}: {len(shares)} pages and reads, {said}: the slowest of them, {worst}",
            f"{median(shares[worst]):.2f}",
            f"{min(middle):.2f} to {max(middle):.2f} (medians of all)",
            f"< {GOAL}",
            "missed" if slow else "met",
        ),
        Row(
            f"{kind}: pages whose number of queries differs",
            str(len(more)),
            "; ".join(more[:3]),
            "0",
            "missed" if more else "met",
        ),
    ]
    for name in sorted(slow, key=lambda name: -median(slow[name])):
        after, before = (1000 * median(each) for each in times[name])
        what = f"{before:.1f} ms to {after:.1f} ms"
        rows.append(Row(f"  {kind}: {name}", f"{median(slow[name]):.2f}", what))
    return rows


def on_postgresql(folder: Path, artifacts: int) -> list[Row]:
    """The same on a real PostgreSQL."""
    with postgresql.serving() as server:
        for name in ("small1", "large1"):
            subprocess.run(
                [
                    "psql",
                    "--quiet",
                    "--dbname",
                    f"{server}/postgres",
                    "--command",
                    f"CREATE DATABASE {name}",
                ],
                check=True,
            )
        return growth(folder, artifacts, server)


def _both(small: str, large: str) -> tuple[list[float], list[float]]:
    """Seconds of the large one and of the small one, in turns."""
    ours: list[float] = []
    theirs: list[float] = []
    pairs = [(small, theirs), (large, ours)]
    for number in range(-2, TURNS):  # both servers warm up
        for url, into in pairs if number % 2 else pairs[::-1]:
            begun = time.perf_counter()
            code, _ = stack.fetch(url, url[url.index("/", 8) :])
            assert code in {200, 302}, (url, code)
            if number >= 0:
                into.append(time.perf_counter() - begun)
    return ours, theirs


@contextmanager
def _grown(folder: Path, artifacts: int, server: str) -> Iterator[Grown]:
    folder.mkdir()
    (folder / "static").symlink_to(Path(os.environ["DATA_DIR"]) / "static")
    releases = round(artifacts / GOOD / PER_RELEASE / CHANNELS / 2)
    settings = {"DATA_DIR": str(folder)}
    if server:
        settings["DATABASE_URL"] = f"{server}/{folder.name}"
    begun = time.perf_counter()
    made = subprocess.run(
        [sys.executable, "-m", "bench.grown", str(releases)],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        check=True,
    )
    told = json.loads(made.stdout.splitlines()[-1])
    print(f"  {told['artifacts']:,} artifacts in {time.perf_counter() - begun:.0f} s", flush=True)
    with stack.web(folder, "--workers", "1", "--threads", "8", **settings) as (url, _):
        yield Grown(url, told["artifacts"], [Page(*page) for page in told["pages"]])
