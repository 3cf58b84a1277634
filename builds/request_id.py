"""The id of the web request that is being answered, so that records can name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """The id of the request that this code runs for; "" outside of any."""
    return _current.get()


def name(request_id: str) -> None:
    """Let what follows in this thread be part of the request of this id; "": of none."""
    _current.set(request_id)


@contextmanager
def named(request_id: str) -> Iterator[None]:
    """Let everything within be part of the request of this id."""
    token = _current.set(request_id)
    try:
        yield
    finally:
        _current.reset(token)
