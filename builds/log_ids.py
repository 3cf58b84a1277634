"""What the log lines of this thread are about, for those who read them by a machine."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from structlog.contextvars import bound_contextvars

from builds import request_id


@contextmanager
def about(*, request: str = "", **ids: object) -> Iterator[None]:
    """Let log lines within name these; `request` is the web request that led here, where known."""
    known = request or request_id.current_request_id()
    with request_id.named(known), bound_contextvars(**ids):
        yield


def inherited(run: Callable[[], None]) -> Callable[[], None]:
    """The same, for a thread of its own whose lines are about what ours are about."""
    context = contextvars.copy_context()
    return lambda: context.run(run)
