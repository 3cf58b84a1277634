"""Hostile inputs, a file for each family; beside each input stands what has to come of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
LEAST = 500
Row = dict[str, Any]


def rows(family: str) -> list[Row]:
    """The inputs of one family, each with `expected`."""
    found: list[Row] = json.loads((_HERE / f"{family}.json").read_text())
    return found


def families() -> list[str]:
    """The names of all."""
    return sorted(path.stem for path in _HERE.glob("*.json"))


def wrong(family: str, is_right: Callable[[Row], bool]) -> list[Row]:
    """The inputs of which something else came."""
    return [row for row in rows(family) if not is_right(row)]


def refused(check: Callable[[], object], error: type[Exception], why: str = "") -> bool:
    """Whether it raises this, and says why."""
    try:
        check()
    except error as said:
        return re.search(why, str(said)) is not None
    return False
