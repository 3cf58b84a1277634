"""What came of the release that ended last, where that is not the latest one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext

from builds.choices import ReleaseStatus
from builds.models import Release
from builds.pipeline import Regression
from builds.web import states
from builds.web.failure import red_since
from builds.web.states import State
from builds.web.words import age, sentence


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What happened after the head was published, in words."""

    state: State
    words: str
    url: str


def aftermath(
    head: Release | None, last: Release | None, *, at: datetime, red: Regression | None = None
) -> Aftermath | None:
    """What came of the release that ended last, where that is not the head."""
    if last is None or last.finished_at is None or (head and last.pk == head.pk):
        return None
    if head and head.published_at and last.finished_at < head.published_at:
        return None
    words = _what_happened(last, head, at)
    if red is not None and last.status == ReleaseStatus.FAILED:
        words = f"{words}; {red_since(red, at=at)}"
    state = states.release_state(last)
    return Aftermath(state=state, words=words, url=last.get_absolute_url())


def _what_happened(last: Release, head: Release | None, at: datetime) -> str:
    assert last.finished_at is not None, "it has ended"
    if last.was_skipped:
        taken_back = head is None or last.revision != head.revision
        news = sentence(last.reason) if taken_back else gettext("nothing new")
        return gettext("checked {ago}: {news}").format(ago=age(last.finished_at, at=at), news=news)
    reason = sentence(last.reason)
    words = {
        ReleaseStatus.FAILED: gettext("last build failed: {reason}"),
        ReleaseStatus.CANCELLED: gettext("last build cancelled: {reason}"),
        ReleaseStatus.WITHDRAWN: gettext("{version} withdrawn: {reason}"),
    }.get(
        ReleaseStatus(last.status),
        gettext("{version} was published, then taken off the head"),
    )
    return words.format(version=last.version, reason=reason)
