"""Numbers and times as people read them; every function that needs to know the time is told it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils.dateformat import format as formatted
from django.utils.formats import number_format
from django.utils.timezone import localtime
from django.utils.translation import get_language, gettext, ngettext, npgettext

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

_NOUNS: dict[str, Callable[[int], str]] = {
    "minute": lambda n: ngettext("{count} minute", "{count} minutes", n),
    "hour": lambda n: ngettext("{count} hour", "{count} hours", n),
    "day": lambda n: ngettext("{count} day", "{count} days", n),
    "week": lambda n: ngettext("{count} week", "{count} weeks", n),
    "month": lambda n: ngettext("{count} month", "{count} months", n),
    "year": lambda n: ngettext("{count} year", "{count} years", n),
    "byte": lambda n: ngettext("{count} byte", "{count} bytes", n),
    "time": lambda n: ngettext("{count} time", "{count} times", n),
    "line": lambda n: ngettext("{count} line", "{count} lines", n),
    "new line": lambda n: ngettext("{count} new line", "{count} new lines", n),
    "derivation": lambda n: ngettext("{count} derivation", "{count} derivations", n),
    "file": lambda n: ngettext("{count} file", "{count} files", n),
    "release": lambda n: ngettext("{count} release", "{count} releases", n),
    "older release": lambda n: ngettext("{count} older release", "{count} older releases", n),
    "check": lambda n: ngettext("{count} check", "{count} checks", n),
    "other check": lambda n: ngettext("{count} other check", "{count} other checks", n),
    "thing": lambda n: ngettext("{count} thing", "{count} things", n),
}
# The same after a preposition (“5 days ago”, “in 5 days”, “for 5 days”), where words have cases.
_LENGTHS: dict[str, Callable[[int], str]] = {
    "minute": lambda n: npgettext("ago, in, for", "{count} minute", "{count} minutes", n),
    "hour": lambda n: npgettext("ago, in, for", "{count} hour", "{count} hours", n),
    "day": lambda n: npgettext("ago, in, for", "{count} day", "{count} days", n),
    "week": lambda n: npgettext("ago, in, for", "{count} week", "{count} weeks", n),
    "month": lambda n: npgettext("ago, in, for", "{count} month", "{count} months", n),
    "year": lambda n: npgettext("ago, in, for", "{count} year", "{count} years", n),
}


def span(length: timedelta) -> str:
    """A length of time in one unit: 5 minutes, 2 days, 7 months."""
    count, name = _in_one_unit(length)
    return counted(count, name)


def lasting(length: timedelta) -> str:
    """The same as it stands after “for”, “in” and before “ago”."""
    count, name = _in_one_unit(length)
    return _LENGTHS[name](count).format(count=number(count))


def age(since: datetime, *, at: datetime) -> str:
    """How long ago something was: just now, 5 minutes ago, 2 days ago."""
    passed = at - since
    if passed < timedelta(minutes=1):
        return gettext("just now")
    return gettext("{length} ago").format(length=lasting(passed))


def ahead(then: datetime, *, at: datetime) -> str:
    """How far off something is: now, in 5 minutes, in 2 days."""
    left = then - at
    if left < timedelta(minutes=1):
        return gettext("now")
    return gettext("in {length}").format(length=lasting(left))


def moment(when: datetime) -> str:
    """An exact time: Sun 22 Nov 2026, 03:12:09 UTC."""
    return f"{formatted(localtime(when), 'D j M Y, H:i:s')} UTC"


def day(when: datetime) -> str:
    """A date: 22 November 2026."""
    return formatted(when, gettext("j F Y"))


def slot(when: datetime) -> str:
    """A weekly slot: Sunday 03:00 UTC."""
    return f"{formatted(when, 'l H:i')} UTC"


def size(count: float) -> str:
    """Bytes in the unit that fits: 312.4 MiB."""
    if count < _STEP:
        return counted(int(count), "byte")
    power = min(int(math.log(count, _STEP) + _ROUNDS_UP), len(_UNITS))
    digits = count / _STEP**power
    places = 1 if digits < _WHOLE_FROM else 0
    return f"{number_format(round(digits, places), places)} {_UNITS[power - 1]}"


def number(count: float) -> str:
    """A number with the separators of the language: 1,234."""
    return number_format(count, use_l10n=True, force_grouping=True)


def clock(seconds: float) -> str:
    """A duration as a clock shows it: 0:21, 14:02, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short_digest(digest: str) -> str:
    """The first and the last 8 digits: enough to compare by eye."""
    return f"{digest[:8]}…{digest[-8:]}"


def counted(count: int, name: str) -> str:
    """A number and its noun, one of those above: 1 build, 3 builds."""
    return noun(count, name).format(count=number(count))


def noun(count: int, name: str) -> str:
    """The form of a noun for a count, with {count} in its place: {count} builds."""
    return _NOUNS[name](count)


def ordinal(place: int) -> str:
    """A place in a row: 1st, 2nd, 3rd, 11th, 22nd; 1., 2., 3. in German."""
    if get_language() != "en":
        return f"{place}."
    teen = place % 100 in {11, 12, 13}
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def sentence(text: str) -> str:
    """The first line of a text, cut where it would fill the page, without its full stop."""
    first = text.strip().partition("\n")[0].strip()
    if len(first) > LONGEST_SENTENCE:
        first = f"{first[: LONGEST_SENTENCE - 1].rstrip()}…"
    return first.rstrip(".")


def public_ref(ref: str) -> str:
    """A flake ref as the page shows it: of a folder on this machine only that it is one."""
    is_folder = ref == "path:" or ref.startswith("path:/")
    return gettext("a folder on this portal") if is_folder else ref


def _in_one_unit(length: timedelta) -> tuple[int, str]:
    unit, name, _ = next(each for each in _SPANS if length / each[0] < each[2])
    return int(length / unit), name
