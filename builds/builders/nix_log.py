"""Reads the log that Nix writes with `--log-format internal-json`: lines, progress, errors."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import msgspec

from builds.builders.base import Progress

PREFIX = "@nix "
_KEPT_ERRORS = 20
# Colours, other escape sequences, and operating system commands such as links.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")


# The letters that Nix takes in the name of a store path.
_STORE_NAME = re.compile(r"[0-9A-Za-z+\-._?=]+")


class Activity(IntEnum):
    """Kinds of activity, as Nix numbers them in src/libutil/logging.hh."""

    COPY_PATH = 100
    FILE_TRANSFER = 101
    REALISE = 102
    BUILDS = 104
    BUILD = 105


class Result(IntEnum):
    """Kinds of what an activity reports; numbered apart from the activities."""

    BUILD_LOG_LINE = 101
    PROGRESS = 105
    SET_EXPECTED = 106
    POST_BUILD_LOG_LINE = 107


_LOG_LINES = frozenset({Result.BUILD_LOG_LINE, Result.POST_BUILD_LOG_LINE})
_JOINT = b"\n" + PREFIX.encode()
_BUILDING = frozenset({Activity.REALISE, Activity.BUILDS, Activity.BUILD})
_ANNOUNCED = frozenset({Activity.BUILD, Activity.COPY_PATH})


_PLAIN = bytes(code for code in range(0x20, 0x7F) if code != ord("\\"))
_PLAIN_HEAD = b'@nix {"action":"result","fields":["'
_PLAIN_LINE = re.compile(
    re.escape(_PLAIN_HEAD) + rb'[^"]*("\],"id":([0-9]{1,18}),"type":101\})(?:\n|$)'
)
_PLAIN_QUOTES = 12


class _LogLine(msgspec.Struct, tag_field="action", tag="result", gc=False):
    """A builder program's line as every version of Nix writes it, and nothing else."""

    id: int
    type: Literal[101, 107]
    fields: tuple[str]


_LOG_LINES_AT_ONCE = msgspec.json.Decoder(list[_LogLine])


def strip_escapes(text: str) -> str:
    """Take colours and other terminal escapes out of a text."""
    return _ESCAPES.sub("", text)


@dataclass(slots=True)
class _Tally:
    """Counts over all activities of one kind, the way Nix's own progress bar adds them up."""

    open: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    announced: dict[int, int] = field(default_factory=dict)
    finished: int = 0

    def stop(self, activity: int) -> None:
        self.finished += self.open.pop(activity, (0, 0, 0))[0]

    @property
    def done(self) -> int:
        return self.finished + sum(done for done, _, _ in self.open.values())

    @property
    def expected(self) -> int:
        counted = self.finished + sum(expected for _, expected, _ in self.open.values())
        return max(counted, self.done, sum(self.announced.values()))

    @property
    def running(self) -> int:
        return sum(running for _, _, running in self.open.values())


class NixLog:
    """What the log has told so far.

    `building` is true once Nix realises something, thus evaluates no longer; `errors` holds
    Nix's own errors, colours stripped, newest last; `summary` is the first error, without its
    trace: later ones tell what it led to.
    """

    def __init__(self) -> None:
        self.building = False
        self.errors: list[str] = []
        self.summary = ""
        self._heads: dict[int, str] = {}
        self._builds = _Tally()
        self._transfers = _Tally()

    @property
    def progress(self) -> Progress:
        """The counts at this moment."""
        return Progress(
            done=self._builds.done,
            expected=self._builds.expected,
            running=self._builds.running,
            bytes_done=self._transfers.done,
            bytes_expected=self._transfers.expected,
        )

    def read_all(self, lines: Sequence[bytes]) -> list[str]:
        """Take in lines in a row, all at once where they are what builder programs print.

        Gives what `read` gives for each, in a tenth of the time or less: a long log is nothing
        but such lines, and of a few others only the neighbours are read again.
        """
        said = self._builders_lines(lines)
        if said is not None:
            return said
        if len(lines) == 1:
            return self.read(lines[0].decode("utf-8", "replace"))
        middle = len(lines) // 2
        return [*self.read_all(lines[:middle]), *self.read_all(lines[middle:])]

    def _builders_lines(self, lines: Sequence[bytes]) -> list[str] | None:
        """What is seen of builder programs' lines, None where one of these is another."""
        block = b"\n".join(lines)
        plain = self._plain_lines(block, len(lines))
        if plain is not None:
            return plain
        events = _log_lines(block, len(lines))
        if events is None:
            return None
        heads = self._heads
        texts = [heads.get(event.id, "") + event.fields[0] for event in events]
        if "" in texts:
            texts = [text for text in texts if text]
        whole = "\n".join(texts)
        said = whole.splitlines()
        # An end of line within a text, of any kind, shows by their number.
        return said if "\0" not in whole and len(said) == len(texts) else None

    def _plain_lines(self, block: bytes, count: int) -> list[str] | None:
        """The same where one derivation printed them all, in ASCII and without an escape.

        Then they differ in their text alone: what stands around it is replaced in one go.
        """
        first = _PLAIN_LINE.match(block)
        if first is None or len(block.translate(None, _PLAIN)) != count - 1:
            return None
        end = first[1]
        joint = end + b"\n" + _PLAIN_HEAD
        is_alike = block.count(joint) == count - 1 and block.endswith(end)
        head = self._heads.get(int(first[2]), "")
        if not (is_alike and head and block.count(b'"') == count * _PLAIN_QUOTES):
            return None
        texts = block[len(_PLAIN_HEAD) : -len(end)].replace(joint, f"\n{head}".encode())
        said = (head + texts.decode()).splitlines()
        return said if len(said) == count else None

    def read(self, line: str) -> list[str]:
        """Take in one line of the log; gives the lines that a person should see for it.

        A line that is no JSON of Nix's is given back as it is: programs that Nix starts, such
        as git, write to the same stream.
        """
        event = _event(line)
        text = line if event is None else self._take(event)
        return [_storable(each) for each in text.splitlines()]

    def _take(self, event: dict[str, Any]) -> str:
        match event:
            case {"action": "msg", "msg": str(text)}:
                return self._message(text, event.get("raw_msg"))
            case {"action": "start", "id": int(activity), "type": int(kind)}:
                return self._start(activity, kind, event)
            case {"action": "result", "id": int(activity), "type": int(kind), "fields": list(said)}:
                return self._result(activity, kind, said)
            case {"action": "stop", "id": int(activity)}:
                self._stop(activity)
        return ""

    def _message(self, text: str, raw: object) -> str:
        plain = strip_escapes(text)
        if plain.startswith("error:"):
            self.errors = [*self.errors, plain][-_KEPT_ERRORS:]
            said = strip_escapes(raw) if isinstance(raw, str) else plain
            self.summary = self.summary or _first_line(said)
        return text

    def _start(self, activity: int, kind: int, event: dict[str, Any]) -> str:
        self.building = self.building or kind in _BUILDING
        if kind == Activity.BUILDS:
            self._builds.open[activity] = (0, 0, 0)
        elif kind == Activity.FILE_TRANSFER:
            self._transfers.open[activity] = (0, 0, 0)
        elif kind == Activity.BUILD:
            name = _derivation_name(event.get("fields"))
            self._heads[activity] = f"{name}> " if name else ""
        return str(event.get("text", "")) if kind in _ANNOUNCED else ""

    def _result(self, activity: int, kind: int, said: list[Any]) -> str:
        match kind, said:
            case Result.PROGRESS, [int(done), int(expected), int(running), *_]:
                self._count(activity, (done, expected, running))
            case Result.SET_EXPECTED, [Activity.FILE_TRANSFER, int(expected)]:
                self._transfers.announced[activity] = expected
            case _, [str(text), *_] if kind in _LOG_LINES:
                return self._heads.get(activity, "") + text
        return ""

    def _count(self, activity: int, counts: tuple[int, int, int]) -> None:
        for tally in (self._builds, self._transfers):
            if activity in tally.open:
                tally.open[activity] = counts

    def _stop(self, activity: int) -> None:
        self._builds.stop(activity)
        self._transfers.stop(activity)
        self._heads.pop(activity, None)


def _log_lines(block: bytes, count: int) -> list[_LogLine] | None:
    """These lines where each is one of a builder program's."""
    found = (b"\n" + block).replace(_JOINT, b",")
    if b"\n" in found:
        return None  # one is no event of Nix's
    try:
        events = _LOG_LINES_AT_ONCE.decode(b"[" + found[1:] + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return events if len(events) == count else None


def _event(line: str) -> dict[str, Any] | None:
    if not line.startswith(PREFIX):
        return None
    try:
        event = json.loads(line.removeprefix(PREFIX))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _derivation_name(fields: object) -> str:
    """The name in `/nix/store/<hash>-<name>.drv`; "" for what is no store path's."""
    match fields:
        case [str(path), *_]:
            name = path.rpartition("/")[2].partition("-")[2].removesuffix(".drv")
            return name if _STORE_NAME.fullmatch(name) else ""
    return ""


def _first_line(text: str) -> str:
    lines = (line.strip().removeprefix("error:").strip() for line in text.splitlines())
    return next((line for line in lines if line), "")


def _storable(text: str) -> str:
    """Replace what no database and no UTF-8 file takes: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
