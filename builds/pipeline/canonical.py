"""How records are written: the same content gives the same bytes, and names no folder of ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def canonical(record: dict[str, Any]) -> bytes:
    """JSON with sorted keys, without white space, on one line."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{text}\n".encode()


def instant(at: datetime | None) -> str | None:
    """A time to the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def exact(at: datetime | None) -> str | None:
    """A time with all its digits, so that a restored row is the row that was lost."""
    return at.isoformat() if at else None


def public_ref(ref: str) -> str:
    """A flake ref; of a folder on this machine only that it is one."""
    return "path:" if ref.startswith("path:") else ref


def known(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what nobody knows."""
    return {name: value for name, value in record.items() if value is not None}
