"""Lines over time as SVG, drawn on the server: numbers in, places and words out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 72, 16, 12, 28
TICKS = 4
STYLES = 6  # static/css/chart.css has a colour and a dash for each
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Point:
    """One number and when it was."""

    at: datetime
    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers of one thing, in the order of time."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A series as it is drawn; `style` counts from 0."""

    name: str
    style: int
    path: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: how far along, in the drawing's units, and its words."""

    place: float
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a time's label and a cell for each series, "" where it has none."""

    label: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, and the same numbers as a table."""

    name: str
    title: str
    summary: str
    head: str
    lines: tuple[Line, ...]
    levels: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    rows: tuple[Row, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    floor: int = HEIGHT - BOTTOM


def draw(
    name: str,
    title: str,
    head: str,
    series: Iterable[Series],
    words: Callable[[float], str],
    *,
    base: int = 1,
) -> Chart:
    """A chart of these series; `words` says a value, `head` what a row of the table is.

    `base` is what makes the next larger unit: 1024 for bytes, 60 for seconds.
    """
    drawn = [each for each in series if each.points]
    points = [point for each in drawn for point in each.points]
    if not points:
        return Chart(name, title, "", head, (), (), (), ())
    top, step = scale(max(point.value for point in points), base)
    first = min(point.at for point in points)
    last = max(point.at for point in points)
    across = _across(first, last)
    lines = tuple(_line(number, each, across, top) for number, each in enumerate(drawn))
    return Chart(
        name=name,
        title=title,
        summary=_summary(drawn, words),
        head=head,
        lines=lines,
        levels=tuple(
            Tick(_up(step * n, top), words(step * n)) for n in range(round(top / step) + 1)
        ),
        dates=_dates(first, last, across),
        rows=_rows(drawn, words),
    )


def scale(most: float, base: int = 1) -> tuple[float, float]:
    """The top of an axis that holds `most`, and the step of its marks, both round numbers."""
    if most <= 0:
        return 1.0, 1.0
    unit = base ** int(math.log(max(most, 1), base)) if base > 1 else 1
    rough = most / unit / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in _STEPS if each * power >= rough * (1 - 1e-9))
    step *= unit
    return step * math.ceil(most / step - 1e-9), step


def _across(first: datetime, last: datetime) -> Callable[[datetime], float]:
    span = (last - first).total_seconds()
    room = WIDTH - LEFT - RIGHT

    def place(at: datetime) -> float:
        share = (at - first).total_seconds() / span if span else 0.5
        return round(LEFT + share * room, 1)

    return place


def _up(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP), 1)


def _line(number: int, series: Series, across: Callable[[datetime], float], top: float) -> Line:
    dots = tuple((across(point.at), _up(point.value, top)) for point in series.points)
    path = " ".join(f"{'L' if n else 'M'}{x} {y}" for n, (x, y) in enumerate(dots))
    return Line(series.name, number % STYLES, path, dots)


def _dates(
    first: datetime, last: datetime, across: Callable[[datetime], float]
) -> tuple[Tick, ...]:
    if first.date() == last.date():
        return (Tick(across(first), f"{first:%-d %b %Y}"),)
    marks = [first + (last - first) * n / TICKS for n in range(TICKS + 1)]
    days = {f"{mark:%-d %b %Y}": across(mark) for mark in reversed(marks)}
    return tuple(Tick(place, day) for day, place in sorted(days.items(), key=lambda each: each[1]))


def _summary(series: list[Series], words: Callable[[float], str]) -> str:
    """What each line does, for those who can't see it."""
    said = (
        f"{each.name}: {words(each.points[-1].value)}, "
        f"between {words(min(point.value for point in each.points))} "
        f"and {words(max(point.value for point in each.points))}"
        for each in series
    )
    return f"{'; '.join(said)}."


def _rows(series: list[Series], words: Callable[[float], str]) -> tuple[Row, ...]:
    """The newest first."""
    labels = {(point.at, point.label): point.label for each in series for point in each.points}
    values = [
        {(point.at, point.label): words(point.value) for point in each.points} for each in series
    ]
    keys = sorted(labels, reverse=True)
    return tuple(Row(labels[key], tuple(of.get(key, "") for of in values)) for key in keys)
