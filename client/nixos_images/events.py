"""Server-sent events, as the HTML standard has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One event; `id` is that of the last one that had one."""

    name: str
    data: str
    id: str


def events(lines: Iterable[bytes], last_id: str = "") -> Iterator[Event]:
    """The events of a stream; one that is cut off is left out."""
    name = ""
    data: list[str] = []
    for raw in lines:
        if not raw.endswith(b"\n"):
            return
        line = raw.rstrip(b"\r\n").decode("utf-8", "replace")
        if not line:
            if data:
                yield Event(name or "message", "\n".join(data), last_id)
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last_id = value
