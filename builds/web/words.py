"""Numbers and times as people read them; every function that needs to know the time is told it."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from django.utils.timezone import localtime

_UNITS = ("KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_ROUNDS_UP = 0.004  # 1000 KiB is better said as 1.0 MiB
_WHOLE_FROM = 100
_SPANS = (
    # shown in this unit up to this many of it
    (timedelta(minutes=1), "minute", 90),
    (timedelta(hours=1), "hour", 48),
    (timedelta(days=1), "day", 21),
    (timedelta(weeks=1), "week", 9),
    (timedelta(days=30.44), "month", 24),
    (timedelta(days=365.25), "year", 1000),
)
LONGEST_SENTENCE = 180


def span(length: timedelta) -> str:
    """A length of time in one unit: 5 minutes, 2 days, 7 months."""
    unit, name, _ = next(each for each in _SPANS if length / each[0] < each[2])
    return counted(int(length / unit), name)


def age(since: datetime, *, at: datetime) -> str:
    """How long ago something was: just now, 5 minutes ago, 2 days ago."""
    passed = at - since
    return "just now" if passed < timedelta(minutes=1) else f"{span(passed)} ago"


def ahead(then: datetime, *, at: datetime) -> str:
    """How far off something is: now, in 5 minutes, in 2 days."""
    left = then - at
    return "now" if left < timedelta(minutes=1) else f"in {span(left)}"


def moment(when: datetime) -> str:
    """An exact time: Sun 22 Nov 2026, 03:12:09 UTC."""
    return f"{localtime(when):%a %-d %b %Y, %H:%M:%S} UTC"


def slot(when: datetime) -> str:
    """A weekly slot: Sunday 03:00 UTC."""
    return f"{when:%A %H:%M} UTC"


def size(count: float) -> str:
    """Bytes in the unit that fits: 312.4 MiB."""
    if count < _STEP:
        return counted(int(count), "byte")
    power = min(int(math.log(count, _STEP) + _ROUNDS_UP), len(_UNITS))
    digits = count / _STEP**power
    unit = _UNITS[power - 1]
    return f"{digits:.1f} {unit}" if digits < _WHOLE_FROM else f"{digits:.0f} {unit}"


def clock(seconds: float) -> str:
    """A duration as a clock shows it: 0:21, 14:02, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short_digest(digest: str) -> str:
    """The first and the last 8 digits: enough to compare by eye."""
    return f"{digest[:8]}…{digest[-8:]}"


def counted(count: int, singular: str, plural: str = "") -> str:
    """A number and its noun: 1 build, 3 builds."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


def ordinal(number: int) -> str:
    """A place in a row: 1st, 2nd, 3rd, 11th, 22nd."""
    teen = number % 100 in {11, 12, 13}
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def sentence(text: str) -> str:
    """The first line of a text, cut where it would fill the page, without its full stop."""
    first = text.strip().partition("\n")[0].strip()
    if len(first) > LONGEST_SENTENCE:
        first = f"{first[: LONGEST_SENTENCE - 1].rstrip()}…"
    return first.rstrip(".")


def public_ref(ref: str) -> str:
    """A flake ref as the page shows it: of a folder on this machine only that it is one."""
    is_folder = ref == "path:" or ref.startswith("path:/")
    return "a folder on this portal" if is_folder else ref
