"""A build's log as text for people: control sequences taken out, the end of it for the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builds.models import Build, LogChunk

LAST_LINES = 2_000
LONGEST_LINE = 4_000

_SEQUENCES = re.compile(
    r"""
      (?: \x1b\] | \x9d ) .*? (?: \x07 | \x1b\\ | \x9c | $ )         # OSC, links and titles
    | (?: \x1b[PX^_] | [\x90\x98\x9e\x9f] ) .*? (?: \x1b\\ | \x9c | $ )  # DCS, SOS, PM, APC
    | (?: \x1b\[ | \x9b ) [0-?]* [ -/]* [@-~]?                       # CSI, colours and cursor
    | \x1b [ -/]* [0-~]?                                             # any other escape
    """,
    re.VERBOSE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Marks that let a line read otherwise than it is written.
_DIRECTIONS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log; numbers count from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a log."""

    lines: tuple[Line, ...] = ()
    total: int = 0

    @property
    def left_out(self) -> int:
        """How many lines stand before the first one that is shown."""
        return self.total - len(self.lines)


def plain(text: str) -> str:
    """A line, or several, without anything that a terminal or a browser would act upon."""
    return "\n".join(_plain_line(line) for line in text.split("\n"))


def tail(build: Build, most: int = LAST_LINES) -> Tail:
    """The last lines of a build's log."""
    chunks = LogChunk.objects.filter(build=build)
    last = chunks.last()
    if last is None:
        return Tail()
    total = last.first_line + last.text.count("\n") - 1
    first = max(1, total - most + 1)
    start = chunks.filter(first_line__lte=first).last()
    assert start is not None, "the first chunk starts at line 1"
    lines = tuple(
        Line(number, cut(text))
        for chunk in chunks.filter(number__gte=start.number)
        for number, text in enumerate(_lines(chunk), start=chunk.first_line)
        if number >= first
    )
    return Tail(lines=lines, total=lines[-1].number if lines else 0)


def whole(build: Build) -> Iterator[str]:
    """The whole log, a chunk at a time."""
    texts = LogChunk.objects.filter(build=build).values_list("text", flat=True)
    for text in texts.iterator(chunk_size=50):
        yield plain(text)


def cut(line: str) -> str:
    """A line without control sequences, and not endlessly long."""
    text = _plain_line(line)
    return f"{text[:LONGEST_LINE]}…" if len(text) > LONGEST_LINE else text


def _lines(chunk: LogChunk) -> list[str]:
    return chunk.text.removesuffix("\n").split("\n")


def _plain_line(line: str) -> str:
    without = _CONTROLS.sub("", _SEQUENCES.sub("", line))
    return _DIRECTIONS.sub("\N{REPLACEMENT CHARACTER}", without)
