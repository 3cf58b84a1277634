"""Reads server-sent events as a browser does."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Event:
    name: str
    data: Any
    id: str


@dataclass
class Stream:
    """One connection; iterate for events. `lines` are the log's lines by number, as they came."""

    url: str
    path: str
    last_id: str = ""
    timeout: float = 30
    lines: list[tuple[int, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(
            urlsplit(self.url).netloc, timeout=self.timeout
        )
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        self._connection.request("GET", self.path, headers=headers)
        self.answer = self._connection.getresponse()

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for raw in self.answer:
            line = raw.decode().rstrip("\n")
            if not line and "event" in fields:
                yield self._take(fields)
            if not line:
                fields = {}
            else:
                name, _, value = line.partition(": ")
                fields[name] = value

    def until(self, name: str) -> Event:
        """The next event of this name."""
        return next(event for event in self if event.name == name)

    def close(self) -> None:
        self.answer.close()
        self._connection.close()

    def _take(self, fields: dict[str, str]) -> Event:
        event = Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
        if event.name == "log":
            self.last_id = event.id
            self.lines += enumerate(event.data["lines"], start=event.data["first"])
        return event
