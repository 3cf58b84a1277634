"""What is measured, in order, and the tables that come of it."""

from __future__ import annotations

import os
import platform
import re
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    answers,
    downloading,
    first_line,
    fresh,
    growth,
    overhead,
    publishing,
    reading,
    storing,
    watchers,
)
from bench.turns import Row, favour

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"

BEGIN, END = "<!-- made by `make bench` -->", "<!-- end -->"
TITLES = {
    "small": "A small image",
    "busy": "1,000,000 lines of a build that works",
    "log": "1,000,000 lines of a build that only prints",
    "colours": "250,000 lines with colours, quotes and tabs",
    "first": "From a wish to the first line",
    "publishing": "From a publish to its readers",
    "reading": "Reading a log of 1,000,000 lines",
    "answers": "Small answers, a second",
    "watchers": "Watchers, embedded",
    "production": "Watchers, production",
    "downloading": "Downloading 1 GB",
    "storing": "Storing 1 GB",
    "fresh": "A first start",
    "growth": "Pages over 1,000,000 artifacts, SQLite",
    "growth-postgresql": "Pages over 1,000,000 artifacts, PostgreSQL",
    "load": "Under load",
    "soak": "Over hours",
}


class Report:
    """Rows by part; each part with when it was measured, and what else ran then."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Row]] = {}
        self._load = os.getloadavg()[0]

    def keep(self) -> None:
        """Put the tables into docs/performance.md, each in place of the one that it had there."""
        PAGE.write_text(kept(PAGE.read_text(), self.parts, self.conditions()))

    def show(self) -> None:
        """Print all of it as a table."""
        for name, rows in self.parts.items():
            print(f"\n{name}\n{table(rows)}")
        print(f"\n{self.conditions()}")

    def conditions(self) -> str:
        """Where and when, as a ratio on a busy machine says less."""
        now = datetime.now(UTC)
        return (
            f"Measured {now:%Y-%m-%d %H:%M} UTC on {os.cpu_count()} cores ({platform.machine()}); "
            f"load {self._load:.1f} before, {os.getloadavg()[0]:.1f} after."
        )


def kept(page: str, parts: Mapping[str, list[Row]], conditions: str) -> str:
    """The page with the tables of these parts; those of all others stay as they are."""
    before, _, rest = page.partition(BEGIN)
    middle, _, after = rest.partition(END)
    _, *sections = re.split(r"^### ", middle, flags=re.MULTILINE)
    texts = {title: text.strip() for title, _, text in (each.partition("\n") for each in sections)}
    texts |= {TITLES[name]: f"{conditions}\n\n{table(rows)}" for name, rows in parts.items()}
    in_order = [title for title in TITLES.values() if title in texts]
    tables = "\n\n".join(f"### {title}\n\n{texts[title]}" for title in in_order)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def measure(wanted: list[str], folder: Path, *, is_quick: bool) -> int:
    """Run the parts that were asked for; each is shown, and kept, as soon as it has ended.

    How many broke off; of those, what the page told before stays.
    """
    favour()
    broken = 0
    parts = _parts(folder, is_quick=is_quick)
    for name in wanted or parts:
        report = Report()
        begun = time.monotonic()
        print(f"{name}: {TITLES[name]}", flush=True)
        try:
            report.parts[name] = parts[name]()
        except Exception as error:  # noqa: BLE001 - an hour's other numbers are not thrown away
            traceback.print_exc()
            report.parts[name] = [Row("this part broke off", type(error).__name__, str(error))]
            broken += 1
        else:
            if not is_quick:
                report.keep()
        report.show()
        print(f"{name} took {time.monotonic() - begun:.0f} s", flush=True)
    return broken


def _parts(folder: Path, *, is_quick: bool) -> dict[str, Callable[[], list[Row]]]:
    few = 3 if is_quick else 7
    size = 256 * storing.MIB if is_quick else 1024 * storing.MIB
    lines = 100_000 if is_quick else 1_000_000
    return {
        "small": lambda: overhead.small(folder, few),
        "busy": lambda: overhead.busy_log(folder, 3, lines),
        "log": lambda: overhead.long_log(folder, 3 if is_quick else 4, lines),
        "colours": lambda: overhead.long_log(folder, 3, lines // 4, overhead.COLOURED),
        "first": lambda: first_line.first_line(folder, few),
        "publishing": lambda: publishing.publishing(folder, 3 * few),
        "reading": lambda: reading.reading(folder, lines),
        "answers": lambda: answers.answers(folder, 3 if is_quick else 5, 2 if is_quick else 3),
        "watchers": lambda: watchers.embedded(folder),
        "production": lambda: watchers.production(folder, 500 if is_quick else 2000),
        "downloading": lambda: downloading.downloading(folder, size, 3 if is_quick else 7),
        "storing": lambda: (
            storing.folder_storage(folder, size, 3 if is_quick else 5)
            + storing.bucket_storage(folder, size, 3)
        ),
        "fresh": lambda: fresh.fresh(folder),
        "growth": lambda: growth.growth(folder, 100_000 if is_quick else 1_000_000),
        "growth-postgresql": lambda: growth.on_postgresql(
            folder, 100_000 if is_quick else 1_000_000
        ),
    }


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    head = ["| what | median | spread | goal |", "| --- | --- | --- | --- |"]
    return "\n".join(
        [*head, *(f"| {row.what} | {row.value} | {row.spread} | {_goal(row)} |" for row in rows)]
    )


def _goal(row: Row) -> str:
    return f"{row.goal}: {row.meets}" if row.meets else row.goal
