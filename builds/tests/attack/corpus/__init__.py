"""Hostile inputs, a file for each family; beside each input stands what has to come of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
LEAST = 500


def rows(family: str) -> list[dict[str, Any]]:
    """The inputs of one family, each with `expected`."""
    found: list[dict[str, Any]] = json.loads((_HERE / f"{family}.json").read_text())
    return found


def families() -> list[str]:
    """The names of all."""
    return sorted(path.stem for path in _HERE.glob("*.json"))
