"""Downloads that a front server answered, counted from its log in the combined format."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from builds.models import Artifact, Channel, CountedLog
from builds.tally import Count, Counts

LINES_AT_ONCE = 50_000
FULL, PART = 200, 206
# No group for the address: it is never read. A quoted field after the agent is "$http_range".
_LINE = re.compile(
    rb'\S+ \S+ \S+ \[(?P<time>[^\]]+)\] "GET (?P<path>[^ "?]+)[^"]*" (?P<status>\d{3}) '
    rb'(?P<size>\d+)(?: "[^"]*" "(?:[^"\\]|\\.)*"(?: "(?P<range>[^"]*)")?)?'
)
_PATH = re.compile(
    r"(?:/nix-community/nixos-images)?/releases/"
    r"(?:latest/download|download/(?P<channel>[^/]+)(?:/(?P<version>[^/]+))?)/(?P<name>[^/]+)"
)
_FROM_START = re.compile(rb"bytes=0+-", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a log is counted: bytes of it, lines and downloads since this began."""

    offset: int
    size: int
    lines: int
    downloads: int


@dataclass(frozen=True, slots=True)
class _Hit:
    path: str
    at: datetime
    begun: bool
    size: int


def count_log(path: Path, *, at: datetime) -> Iterator[Progress]:
    """Count what was added since the last time; yields after every stored piece.

    Raises OSError. A last line without its end is left for the next time.
    """
    size = path.stat().st_size
    files = _Files()
    lines = downloads = 0
    with path.open("rb") as log:
        identity = _identity(log)
        offset = CountedLog.objects.position(identity)
        offset = offset if offset <= size else 0
        log.seek(offset)
        while piece := [line for line in islice(log, LINES_AT_ONCE) if line.endswith(b"\n")]:
            counts = _counts(piece, files)
            offset += sum(map(len, piece))
            CountedLog.objects.advance(identity, offset, counts, at=at)
            lines += len(piece)
            downloads += sum(count.count for count in counts.values())
            yield Progress(offset, size, lines, downloads)


def _identity(log: BinaryIO) -> str:
    """The file itself, under whatever name it was rotated to."""
    stat = os.fstat(log.fileno())
    match = _LINE.match(log.readline())
    return f"{stat.st_dev}:{stat.st_ino}:{match['time'].decode() if match else ''}"


def _counts(lines: list[bytes], files: _Files) -> Counts:
    counts: Counts = {}
    for line in lines:
        hit = _hit(line)
        artifact = files.find(hit) if hit else None
        if hit is None or artifact is None:
            continue
        count = counts.setdefault((artifact, hit.at.date()), Count())
        count.count += hit.begun
        count.bytes += hit.size
    return counts


def _hit(line: bytes) -> _Hit | None:
    match = _LINE.match(line)
    if match is None or int(match["status"]) not in {FULL, PART}:
        return None
    try:
        at = datetime.strptime(match["time"].decode(), "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
    except ValueError:
        return None
    asked = match["range"] or b""
    begun = int(match["status"]) == FULL or bool(_FROM_START.match(asked))
    path = unquote(match["path"].decode("ascii", "replace"))
    return _Hit(path, at, begun, int(match["size"]))


class _Files:
    """Artifacts by the paths of their URLs, each looked up once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None, str], list[tuple[datetime, int]]] = {}
        default = Channel.objects.default()
        self._default = default.name if default else ""

    def find(self, hit: _Hit) -> int | None:
        """The artifact; of a moving URL the one that was the newest at the time."""
        match = _PATH.fullmatch(hit.path)
        if match is None:
            return None
        key = (match["channel"] or self._default, match["version"], match["name"])
        if key not in self._found:
            self._found[key] = Artifact.objects.with_times(*key)
        known = self._found[key]
        if not known:
            return None
        if match["version"]:
            return known[-1][1]
        place = bisect_right(known, hit.at, key=lambda each: each[0])
        return known[place - 1][1] if place else None
