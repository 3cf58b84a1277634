"""A log's lines as safe text: colours as names of classes, and nothing else that acts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

LONGEST_LINE = 4_000

_SEQUENCES = re.compile(
    r"""
      (?: \x1b\] | \x9d ) .*? (?: \x07 | \x1b\\ | \x9c | $ )         # OSC, links and titles
    | (?: \x1b[PX^_] | [\x90\x98\x9e\x9f] ) .*? (?: \x1b\\ | \x9c | $ )  # DCS, SOS, PM, APC
    | (?: \x1b\[ | \x9b ) (?P<parameters> [0-?]* ) [ -/]* (?P<final> [@-~] )?  # CSI
    | \x1b [ -/]* [0-~]?                                             # any other escape
    """,
    re.VERBOSE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Marks that let a line read otherwise than it is written.
_DIRECTIONS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_CODE = re.compile(r"[0-9]{0,3}")
_WEIGHTS = {1: "bold", 2: "faint", 3: "italic", 4: "underlined"}
_ENDS = {22: frozenset({"bold", "faint"}), 23: frozenset({"italic"}), 24: frozenset({"underlined"})}
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_DEFAULT_COLOUR, _EXTENDED, _INDEXED = 39, (38, 48, 58), 5


@dataclass(frozen=True, slots=True)
class Span:
    """A run of characters of one look; `classes` are names for the style sheet, "" for none."""

    text: str
    classes: str = ""


@dataclass(frozen=True, slots=True)
class _Style:
    weights: frozenset[str] = frozenset()
    colour: str = ""

    @property
    def classes(self) -> str:
        return " ".join(f"ansi-{name}" for name in [*sorted(self.weights), self.colour] if name)


def spans(line: str, longest: int = LONGEST_LINE) -> tuple[Span, ...]:
    """A line as text with colours, cut where it is endlessly long."""
    if _ACTS.search(line) is None:
        return (Span(_cut(line, longest)),)
    found: list[Span] = []
    left = longest
    for text, style in _runs(line):
        shown = _without_marks(text)
        if shown and left >= 0:
            found.append(Span(_cut(shown, left), style.classes))
        left -= len(shown)
    return tuple(found) or (Span(""),)


def plain(text: str) -> str:
    """A line, or several, without anything that a terminal or a browser would act upon."""
    if _ACTS.search(text) is None:
        return text
    return "\n".join(_plain_line(line) for line in text.split("\n"))


def _plain_line(line: str) -> str:
    return _without_marks(_SEQUENCES.sub("", line))


def _without_marks(text: str) -> str:
    return _DIRECTIONS.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub("", text))


def _cut(text: str, longest: int) -> str:
    return f"{text[:longest]}…" if len(text) > longest else text


def _runs(line: str) -> Iterator[tuple[str, _Style]]:
    style, at = _Style(), 0
    for match in _SEQUENCES.finditer(line):
        yield line[at : match.start()], style
        at = match.end()
        if match["final"] == "m":
            style = _after(style, match["parameters"])
    yield line[at:], style


def _after(style: _Style, parameters: str) -> _Style:
    """The style after a "select graphic rendition"; what is not known changes nothing."""
    # Of three digits: Python refuses to read numbers of thousands of them.
    codes = [int(word or 0) for word in parameters.split(";") if _CODE.fullmatch(word)]
    while codes:
        code = codes.pop(0)
        if code in _EXTENDED:
            # 38;5;n is one of 256 colours, 38;2;r;g;b any: only the sixteen have a name here.
            length = 2 if codes[:1] == [_INDEXED] else 4
            extended, codes = codes[:length], codes[length:]
            if code == _EXTENDED[0] and length == len(extended) == 2:  # noqa: PLR2004
                style = replace(style, colour=_named(extended[1]))
        else:
            style = _with(style, code)
    return style


def _with(style: _Style, code: int) -> _Style:
    if code == 0:
        return _Style()
    if code in _WEIGHTS:
        return replace(style, weights=style.weights | {_WEIGHTS[code]})
    if code in _ENDS:
        return replace(style, weights=style.weights - _ENDS[code])
    if code == _DEFAULT_COLOUR:
        return replace(style, colour="")
    tens, unit = divmod(code, 10)
    if tens in {3, 9} and unit < len(_COLOURS):
        return replace(style, colour=_COLOURS[unit])
    return style


def _named(index: int) -> str:
    return _COLOURS[index % 8] if index < 16 else ""  # noqa: PLR2004 - the bright ones follow
