"""What was signed under which number: a file that only grows, beside the key.

The database may be rolled back, restored or tampered with; this file says what was signed anyway.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builds.signing.files import sync_folder


class Spent(Exception):
    """A number was signed with other bytes, or a later one was; `newest` is the last signed."""

    def __init__(self, newest: int, text: str) -> None:
        super().__init__(text)
        self.newest = newest


class Torn(Exception):
    """A line of the ledger that is not its last one can't be read: a person has to look."""


@dataclass(frozen=True, slots=True)
class Place:
    """A release's place: `sequence` grows for each channel and system."""

    channel: str
    system: str
    sequence: int


class Ledger:
    """One line for each release, written and on the disk before anything of it is signed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, place: Place, digests: Mapping[str, str], key: str) -> None:
        """Write down what is about to be signed; the same again is fine. Raises Spent."""
        with self._locked() as file:
            known = {each: said for each, said in self._read(file) if _same_line(each, place)}
            newest = max((each.sequence for each in known), default=0)
            if place in known and known[place] == dict(digests):
                return
            if place in known:
                raise Spent(newest, f"number {place.sequence} was signed with other bytes")
            if place.sequence < newest:
                raise Spent(newest, f"number {newest} is signed already")
            self._append(file, {**_record(place), "digests": dict(digests), "key": key})

    def digests(self, place: Place) -> dict[str, str] | None:
        """What was signed under a number: digests by name; None: nothing."""
        with self._locked() as file:
            return dict(self._read(file)).get(place)

    def _read(self, file: int) -> Iterator[tuple[Place, dict[str, str]]]:
        """All lines; of the last one a killed signer may have left a part, which says nothing."""
        *lines, _part = self._all(file).split(b"\n")
        for line in lines:
            try:
                said = json.loads(line)
                place = Place(said["channel"], said["system"], int(said["sequence"]))
                yield place, dict(said["digests"])
            except (ValueError, KeyError, TypeError):
                raise Torn(f"{self._path} has a line that can't be read: {line!r}") from None

    def _append(self, file: int, record: Mapping[str, object]) -> None:
        whole = self._all(file).rpartition(b"\n")
        os.ftruncate(file, len(whole[0]) + len(whole[1]))
        line = f"{json.dumps(record, sort_keys=True, separators=(',', ':'))}\n"
        os.lseek(file, 0, os.SEEK_END)
        os.write(file, line.encode())
        os.fsync(file)

    def _all(self, file: int) -> bytes:
        size = os.fstat(file).st_size
        return os.pread(file, size, 0)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        is_new = not self._path.exists()
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if is_new:
                sync_folder(self._path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _same_line(place: Place, other: Place) -> bool:
    return (place.channel, place.system) == (other.channel, other.system)


def _record(place: Place) -> dict[str, object]:
    return {"channel": place.channel, "system": place.system, "sequence": place.sequence}
