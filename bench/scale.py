"""`python -m bench.scale [--NAME VALUE …]`: what a large portal costs, from measured numbers.

Measured numbers come from the tables of docs/performance.md; what nobody can measure here is a
named assumption, and each can be given. Prints the tables of docs/scale.md; `--keep` writes them.
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path

from bench import queueing
from bench.queueing import Lengths, simulate, weekly

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- made by `python -m bench.scale --keep` -->", "<!-- end -->"
HOURS = 730  # of a month
WEEKS = 10  # are simulated
GB, TB, PB = 1e9, 1e12, 1e15
ROW = re.compile(r"^\| *(?P<what>[^|]+?) *\| *(?P<value>[^|]+?) *\|", re.MULTILINE)
NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+")


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the size of the portal is, and what is not the portal's to say."""

    downloads: float = 10_000  # an hour
    download_gb: float = 1.0
    channels: int = 50
    systems: int = 6
    variants: int = 5
    release_gb: float = 2.7  # of all variants of one system
    weeks_kept: int = 15  # 90 days, the grace, and the steps of `collect`
    build_median: float = 900.0  # seconds
    build_p95: float = 2700.0
    client_mbit: float = 100.0
    port_gbit: float = 10.0
    port_share: float = 0.7  # of a port is used before another is needed
    requests: float = 6.0  # for each download: script, sums, record, page
    # Prices are one each of whatever you pay in; put in your own.
    egress_price: float = 0.01  # a GB
    storage_price: float = 0.02  # a GB and month
    worker_price: float = 0.10  # an hour
    server_price: float = 0.20  # an hour of a machine with a port of `port_gbit`


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers of docs/performance.md, of two cores."""

    store: float  # MiB a second, hashed and written
    store_s3: float
    download: float  # MiB a second, 50 readers
    reads: float | None  # a second, of the newest `make load` on the page, if there is one


def measured(page: str) -> Measured:
    """The newest of each number. Raises LookupError where the page lacks one that every run has."""
    answered = "reads a second that were answered"
    return Measured(
        store=_newest(page, "MiB a second into a folder"),
        store_s3=_newest(page, "MiB a second into S3"),
        download=_newest(page, "MiB a second to 50 readers"),
        reads=_newest(page, answered) if answered in page else None,
    )


def _newest(page: str, what: str) -> float:
    values = [row["value"] for row in ROW.finditer(page) if row["what"].strip() == what]
    if not values:
        raise LookupError(f"docs/performance.md tells of no {what!r}: run `make bench`")
    found = NUMBER.search(values[-1])
    if found is None:
        raise LookupError(f"{what!r} is no number: {values[-1]}")
    return float(found[0].replace(",", ""))


def report(given: Assumptions, known: Measured) -> str:
    """All tables as Markdown."""
    return "\n\n".join(
        [
            "### Bytes\n\n" + _table(["what", "how much"], _bytes(given, known)),
            "### Where each part ends\n\n"
            + _table(["part", "one has", "this needs", "how many"], _limits(given, known)),
            "### Waiting for a worker\n\n"
            f"{given.channels} channels with {given.variants} variants on one system, "
            f"{WEEKS} weeks; a build takes {given.build_median / 60:.0f} minutes (median), "
            f"{given.build_p95 / 60:.0f} at most of 95 in 100.\n\n"
            + _table(
                ["slots", "workers", "busy", "wait, p50", "wait, p95", "longest"], _waits(given)
            ),
            "### Money a month\n\n"
            + _table(["for", "how much", "price", "a month"], _money(given)),
        ]
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sent_bits(given: Assumptions) -> float:
    """Bits a second that go out."""
    return given.downloads * given.download_gb * GB * 8 / 3600


def kept_bytes(given: Assumptions) -> float:
    """What the storage holds."""
    return given.channels * given.systems * given.weeks_kept * given.release_gb * GB


def at_the_same_time(given: Assumptions) -> float:
    """Downloads on their way at a moment: arrivals times how long each takes (Little)."""
    seconds = given.download_gb * GB * 8 / (given.client_mbit * 1e6)
    return given.downloads / 3600 * seconds


def _bytes(given: Assumptions, known: Measured) -> list[list[str]]:
    weekly_bytes = given.channels * given.systems * given.release_gb * GB
    return [
        ["sent", f"{sent_bits(given) / 1e9:.1f} Gbit/s on average"],
        ["sent a month", f"{given.downloads * given.download_gb * GB * HOURS / PB:.1f} PB"],
        ["downloads on their way at a moment", f"{at_the_same_time(given):,.0f}"],
        ["releases a week", f"{given.channels * given.systems:,}"],
        ["built and stored a week", f"{weekly_bytes / TB:.2f} TB"],
        ["storing that in a folder", f"{weekly_bytes / 2**20 / known.store / 3600:.1f} h of work"],
        ["storing that in S3", f"{weekly_bytes / 2**20 / known.store_s3 / 3600:.1f} h of work"],
        ["kept", f"{kept_bytes(given) / TB:.1f} TB"],
        ["rows of artifacts a year", f"{given.channels * given.systems * 52 * 9:,}"],
    ]


def _limits(given: Assumptions, known: Measured) -> list[list[str]]:
    rows = [
        (
            "network port",
            given.port_gbit * given.port_share,
            sent_bits(given) / 1e9,
            "Gbit/s",
        ),
        (
            "portal of two cores that sends all bytes itself",
            known.download * 2**20 * 8 / 1e9,
            sent_bits(given) / 1e9,
            "Gbit/s",
        ),
        (
            "threads of a portal, two processes of 256, one for each download",
            512,
            at_the_same_time(given),
            "",
        ),
        (
            "scrubbing, each file once a week (50 MiB/s, 5 minutes of each hour)",
            50 * 2**20 * 300 * 168 / TB,
            kept_bytes(given) / TB,
            "TB",
        ),
    ]
    if known.reads is not None:
        needed = given.downloads / 3600 * given.requests
        rows.append(("two cores, for all that is not a file", known.reads, needed, "requests/s"))
    return [
        [what, f"{has:,.1f} {unit}".strip(), f"{needs:,.1f} {unit}".strip(), str(ceil(needs / has))]
        for what, has, needs, unit in rows
    ]


def workers_needed(given: Assumptions) -> int:
    """Workers of one system that are two thirds busy over the week, one at least."""
    lengths = Lengths(given.build_median, given.build_p95)
    builds = list(weekly([0.0] * given.channels, given.variants, lengths, 1))
    return max(1, ceil(sum(build.length for build in builds) / queueing.WEEK / (2 / 3)))


def _waits(given: Assumptions) -> list[list[str]]:
    lengths = Lengths(given.build_median, given.build_p95)
    shapes = {
        "all at once": queueing.at_once(given.channels),
        "over one night": queueing.one_night(given.channels),
        "over the week": queueing.spread(given.channels),
    }
    rows = []
    for name, slots in shapes.items():
        for workers in (1, 2, 4, 8):
            came = simulate(weekly(slots, given.variants, lengths, WEEKS), workers)
            waits = [came.at(share) / 3600 for share in (0.5, 0.95, 1.0)]
            rows.append(
                [name, str(workers), f"{came.busy:.0%}", *(f"{wait:.1f} h" for wait in waits)]
            )
    return rows


def _money(given: Assumptions) -> list[list[str]]:
    sent = given.downloads * given.download_gb * HOURS
    kept = kept_bytes(given) / GB
    workers = workers_needed(given) * given.systems * HOURS
    servers = ceil(sent_bits(given) / 1e9 / (given.port_gbit * given.port_share)) * HOURS
    parts = [
        ("bytes that are paid for by the GB", sent, "GB", given.egress_price),
        ("or servers with a port of their own", servers, "hours", given.server_price),
        ("storage", kept, "GB", given.storage_price),
        ("workers", workers, "hours", given.worker_price),
    ]
    return [
        [what, f"{much:,.0f} {unit}", f"{price}", f"{much * price:,.0f}"]
        for what, much, unit, price in parts
    ]


def given_by(words: list[str]) -> Assumptions:
    """The usual ones, changed by `--name value`. Raises ValueError for what is none of them."""
    kinds = {name: type(value) for name, value in asdict(Assumptions()).items()}
    changed: dict[str, float] = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        key = name.removeprefix("--").replace("-", "_")
        if key not in kinds:
            raise ValueError(f"there is no {name}; there are {', '.join(kinds)}")
        changed[key] = kinds[key](value)
    return replace(Assumptions(), **changed)  # type: ignore[arg-type]  # of the right kinds by now


def main() -> None:
    """Print the tables, or write them."""
    words = [word for word in sys.argv[1:] if word != "--keep"]
    text = report(given_by(words), measured((DOCS / "performance.md").read_text()))
    if "--keep" not in sys.argv:
        print(text)
        return
    page = DOCS / "scale.md"
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
