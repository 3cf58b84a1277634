"""Since when it is red and what changed, in words; and whether it is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

from builds.choices import BuildStatus
from builds.models import Build
from builds.pipeline import Regression
from builds.web.words import counted, span


def red_since(found: Regression, *, at: datetime) -> str:
    """Red since build 1187, for 2 weeks."""
    what = f"build {found.build.pk}" if found.build else f"release {found.first.pk}"
    return f"red since {what}, {span(max(at - found.since, timedelta(0)))}"


def is_tried_again(build: Build) -> str:
    """Whether another attempt follows a failed one by itself, as a sentence."""
    if build.status not in {BuildStatus.FAILED, BuildStatus.LOST}:
        return ""
    if build.will_be_retried:
        return "It is tried again by itself."
    if build.may_retry:
        return f"It was tried {counted(build.tries, 'time')}; it is not tried again by itself."
    return "It is not tried again by itself: the same source would fail the same way."
