"""Lines of a build's log, wherever they lie: in pieces while it runs, in its archive later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builds.logs.ansi import Span, plain, spans
from builds.models import LogArchive, LogChunk, Piece

LAST_LINES = 2_000
_READ_AT_ONCE = 16  # at most; few first, for a page shows no more than the text of two or three


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log; numbers count from 1."""

    number: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Some lines of a log; `total` is the number of its last one."""

    lines: tuple[Line, ...] = ()
    total: int = 0

    @property
    def first(self) -> int:
        """The number of the first line, 0 where there is none."""
        return self.lines[0].number if self.lines else 0

    @property
    def last(self) -> int:
        """The number of the last line, 0 where there is none."""
        return self.lines[-1].number if self.lines else 0

    @property
    def left_out(self) -> int:
        """How many lines stand before the first one."""
        return max(0, self.first - 1)

    @property
    def to_come(self) -> int:
        """How many lines stand after the last one."""
        return self.total - self.last


def pieces(build_id: int, first: int = 1) -> Iterator[Piece]:
    """What the log holds from this line on; the log may be written and archived meanwhile.

    Line numbers leave out what was left out of a log that grew too long.
    """
    at, count = first, 2
    while some := list(LogChunk.objects.of(build_id).holding(at)[:count]):
        before, count = at, min(2 * count, _READ_AT_ONCE)
        for chunk in some:
            piece = chunk.piece.since(at)
            if piece.lines:
                yield piece
                at = piece.last + 1
        if at == before:
            return  # all of it has been seen
    # Either nothing was written yet, or the archive has come in the place of the pieces.
    archive = LogArchive.objects.find(build_id)
    for piece in archive.pieces(at) if archive is not None else ():
        rest = piece.since(at)
        if rest.lines:
            yield rest


def last_line(build_id: int) -> int:
    """The number of the last line so far, 0 where there is none."""
    chunk = LogChunk.objects.of(build_id).last()
    if chunk is not None:
        return chunk.piece.last
    archive = LogArchive.objects.find(build_id)
    return archive.lines if archive is not None else 0


def window(build_id: int, first: int | None = None, most: int = LAST_LINES) -> Window:
    """Some lines from this one on; the last ones where none is named."""
    total = last_line(build_id)
    if not total:
        return Window()
    start = max(1, total - most + 1) if first is None else max(1, first)
    found: list[Line] = []
    for piece in pieces(build_id, start):
        numbered = enumerate(piece.lines, start=piece.first)
        found += [Line(number, spans(line)) for number, line in numbered if number < start + most]
        if piece.last >= start + most - 1:
            break
    return Window(tuple(found), max(total, found[-1].number if found else 0))


def text(build_id: int, first: int = 1, last: int | None = None) -> Iterator[str]:
    """The log as plain text, from one line to another, in blocks."""
    for piece in pieces(build_id, first):
        if last is not None and piece.first > last:
            return
        lines = piece.lines if last is None else piece.lines[: last - piece.first + 1]
        yield plain("\n".join(lines)) + "\n"
        if last is not None and piece.last >= last:
            return
