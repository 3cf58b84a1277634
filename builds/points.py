"""Names the points on the way of a release at which the crash matrix breaks in."""

from __future__ import annotations

from collections.abc import Callable

Visitor = Callable[[str], None]

_visitor: Visitor | None = None


def point(name: str) -> None:
    """Say that this point is reached; nobody listens outside the crash matrix.

    No setting and no request can change that: only code that calls `visit` can.
    """
    if _visitor is not None:
        _visitor(name)


def visit(visitor: Visitor | None) -> None:
    """Let a function be called at every point of this process; None ends it."""
    global _visitor  # noqa: PLW0603 - one process is one worker
    _visitor = visitor
