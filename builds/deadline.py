"""Asking what may hang: who asks waits for so long and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connection, connections

T = TypeVar("T")


class TookTooLong(Exception):
    """No answer came in time; whoever was asked may still be at it."""


class Bounded(Generic[T]):
    """Asks in a thread of its own, one at a time.

    A call that hangs holds up one thread, however many ask: they wait for the same one, each for
    its own time.
    """

    def __init__(self, name: str, ask: Callable[[], T]) -> None:
        self._name = name
        self._ask = ask
        self._lock = threading.Lock()
        self._under_way: Future[T] | None = None

    def begin(self) -> Future[T]:
        """Ask, unless somebody does already; the answer to come."""
        if connection.in_atomic_block:
            return self._here()  # another thread would not see what this transaction has written
        with self._lock:
            if self._under_way is None or self._under_way.done():
                self._under_way = Future()
                thread = threading.Thread(
                    target=self._run, args=[self._under_way], name=self._name, daemon=True
                )
                thread.start()
            return self._under_way

    def wait(self, answer: Future[T], seconds: float) -> T:
        """The answer; raises TookTooLong, and whatever was raised there."""
        try:
            return answer.result(max(seconds, 0))
        except TimeoutError:
            if answer.done():
                raise
            raise TookTooLong("no answer in time") from None

    def __call__(self, seconds: float) -> T:
        """Ask, and wait for so long; raises TookTooLong, and whatever was raised there."""
        return self.wait(self.begin(), seconds)

    def _here(self) -> Future[T]:
        answer: Future[T] = Future()
        _fulfil(answer, self._ask)
        return answer

    def _run(self, answer: Future[T]) -> None:
        try:
            _fulfil(answer, self._ask)
        finally:
            connections.close_all()


def _fulfil(answer: Future[T], ask: Callable[[], T]) -> None:
    try:
        answer.set_result(ask())
    except Exception as error:  # noqa: BLE001 - who waits for the answer gets it
        answer.set_exception(error)
