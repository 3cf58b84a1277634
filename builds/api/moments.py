"""Times in the addresses of the API: a day, or a time as RFC 3339 writes it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(\.\d+)?([Zz]|[+ -]\d\d:\d\d)")
WANTED = "write a day (2026-06-01) or a time with its offset (2026-06-01T12:00:00Z)"


def read(text: Any) -> Any:
    """A time; a day means its first moment, in UTC. Raises ValueError.

    A plus that nobody quoted arrives as a space; a leap second counts as the one before it.
    """
    if not isinstance(text, str):
        return text
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if found := _TIME.fullmatch(text):
            on, clock, seconds, fraction, offset = found.groups()
            seconds = "59" if seconds == "60" else seconds
            offset = offset.upper().replace(" ", "+")
            digits = (fraction or "")[:7]
            return datetime.fromisoformat(f"{on}T{clock}{seconds}{digits}{offset}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{error}; {WANTED}") from None
    raise ValueError(WANTED)


def in_whole_seconds(at: datetime) -> str:
    """A time as answers say it: 2026-11-22T03:12:09Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Moment = Annotated[
    datetime,
    BeforeValidator(read),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}),
]
Time = Annotated[
    datetime,
    PlainSerializer(in_whole_seconds, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-22T03:12:09Z"]}),
]
