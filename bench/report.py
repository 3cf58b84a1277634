"""What is measured, in order, and the table that comes of it."""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Callable
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
}


class Report:
    """Rows by part."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Row]] = {}
        self._load = os.getloadavg()[0]

    def keep(self) -> None:
        """Put the tables into docs/performance.md, between the marks there."""
        before, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        tables = "\n\n".join(
            f"### {TITLES[name]}\n\n{table(rows)}" for name, rows in self.parts.items()
        )
        PAGE.write_text(f"{before}{BEGIN}\n\n{self.conditions()}\n\n{tables}\n\n{END}{after}")

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


def measure(report: Report, wanted: list[str], folder: Path, *, is_quick: bool) -> None:
    """Run the parts that were asked for."""
    favour()
    few = 3 if is_quick else 7
    size = 256 * storing.MIB if is_quick else 1024 * storing.MIB
    lines = 100_000 if is_quick else 1_000_000
    parts: dict[str, Callable[[], list[Row]]] = {
        "small": lambda: overhead.small(folder, few),
        "busy": lambda: overhead.busy_log(folder, 3, lines),
        "log": lambda: overhead.long_log(folder, 3 if is_quick else 4, lines),
        "colours": lambda: overhead.long_log(folder, 3, lines // 4, overhead.COLOURED),
        "first": lambda: first_line.first_line(folder, few),
        "publishing": lambda: publishing.publishing(folder, 3 * few),
        "reading": lambda: reading.reading(folder, lines),
        "answers": lambda: answers.answers(folder, few, 2 if is_quick else 4),
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
    for name in wanted or parts:
        print(name, flush=True)
        try:
            report.parts[name] = parts[name]()
        except Exception as error:  # noqa: BLE001 - an hour's other numbers are not thrown away
            traceback.print_exc()
            report.parts[name] = [Row("this part broke off", type(error).__name__, str(error))]


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    head = ["| what | median | spread | goal |", "| --- | --- | --- | --- |"]
    return "\n".join(
        [*head, *(f"| {row.what} | {row.value} | {row.spread} | {_goal(row)} |" for row in rows)]
    )


def _goal(row: Row) -> str:
    return f"{row.goal}: {row.meets}" if row.meets else row.goal
