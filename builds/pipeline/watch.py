"""Asking, while long work runs, whether it is still wanted."""

from __future__ import annotations

import time
from collections.abc import Callable

from builds.choices import ReleaseStatus
from builds.models import Check, Release
from builds.pipeline.patience import riding_out

ASK_EVERY = 1.0


class Watch:
    """A question to the database that may be put often, and is passed on once a second."""

    def __init__(self, question: Callable[[], bool]) -> None:
        self._question = question
        self._asked: float | None = None
        self._answer = False

    def __call__(self) -> bool:
        """The answer of the last second; once it is yes, it stays so."""
        now = time.monotonic()
        if self._asked is None or now - self._asked >= ASK_EVERY:
            self._asked = now
            with riding_out("a question to the database"):
                self._answer = self._answer or self._question()
        return self._answer


def is_unwanted(check: Check) -> Watch:
    """Whether a check's release no longer stands where it is checked.

    A later check also makes room for one that a draft waits for; it is made again later.
    """
    same = Check.objects.wanted().filter(pk=check.pk)
    if check.gates:
        return Watch(lambda: not same.exists())
    return Watch(lambda: not same.exists() or Check.objects.handed_out().gating().exists())


def has_ended(release: Release) -> Watch:
    """Whether a draft has ended meanwhile, so that no work on it is wanted any more."""
    same = Release.objects.filter(pk=release.pk, status=ReleaseStatus.DRAFT)
    return Watch(lambda: not same.exists())
