"""One way to check a download, as the page on verifying shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """One way to check: the command, what it proves, and what it does not."""

    id: str
    title: str
    text: str
    proves: str
    leaves: str
