"""Since when it is red and what changed, in words; and whether it is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext

from builds.choices import BuildStatus
from builds.models import Build
from builds.pipeline import Regression
from builds.web.words import counted, span


def red_since(found: Regression, *, at: datetime) -> str:
    """Red since build 1187, for 2 weeks."""
    length = span(max(at - found.since, timedelta(0)))
    if found.build:
        words = gettext("red since build {number}, {length}")
        return words.format(number=found.build.pk, length=length)
    words = gettext("red since release {number}, {length}")
    return words.format(number=found.first.pk, length=length)


def is_tried_again(build: Build) -> str:
    """Whether another attempt follows a failed one by itself, as a sentence."""
    if build.status not in {BuildStatus.FAILED, BuildStatus.LOST}:
        return ""
    if build.will_be_retried:
        return gettext("It is tried again by itself.")
    if build.may_retry:
        words = gettext("It was tried {times}; it is not tried again by itself.")
        return words.format(times=counted(build.tries, "time"))
    return gettext("It is not tried again by itself: the same source would fail the same way.")
