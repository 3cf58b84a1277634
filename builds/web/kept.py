"""What the storage keeps, and when it was last read again to see that it is whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, Max, Min, QuerySet, Subquery, Sum, Value
from django.utils.translation import gettext

from builds.choices import ReleaseStatus
from builds.models import Artifact, Damage, Release
from builds.web.parts import Part
from builds.web.states import State, Tone
from builds.web.words import age, counted, size

SUMS_LAST = timedelta(seconds=10)
SCRUB_IS_LATE = timedelta(days=14)  # every file is read again once a week


def kept(at: datetime) -> Iterator[Part]:
    """How much is kept, whether all of it was hashed lately, what is damaged."""
    all_of_it = found()
    words = gettext("{size} in {files}").format(
        size=size(all_of_it["bytes"]), files=counted(all_of_it["files"], "file")
    )
    yield Part(gettext("files kept"), State(Tone.GOOD, "disc", words), "")
    yield Part(gettext("last scrub"), _scrub(all_of_it, at), "")
    yield Part(gettext("damaged files"), _damage(all_of_it["damaged"]), "")


def found() -> dict[str, Any]:
    """What there is to tell of files and of the published releases, in one query.

    What is added up over all of them is at most SUMS_LAST old; damage is of this moment.
    """
    turn = int(time.monotonic() / SUMS_LAST.total_seconds())
    if turn not in _sums:
        added_up = _add_up()
        _sums.clear()
        _sums[turn] = added_up
        return added_up
    return _sums[turn] | {"damaged": Damage.objects.unmended().count()}


def forget() -> None:
    """Add up again at the next look."""
    _sums.clear()


_sums: dict[int, dict[str, Any]] = {}


def _add_up() -> dict[str, Any]:
    holding = Release.objects.holding_files().order_by()
    published = holding.filter(status=ReleaseStatus.PUBLISHED).values(_one=Value(1))
    unread = published.filter(scrubbed_at=None)
    damaged = Damage.objects.unmended().order_by().values(_one=Value(1)).values(n=Count("pk"))

    def one(of: QuerySet[Any], how: Aggregate) -> Max:
        """One value, the same for every row; the database looks for it once."""
        return Max(Subquery(of.annotate(n=how).values("n")))

    told = Artifact.objects.filter(release__in=holding).aggregate(
        bytes=Sum("size"),
        files=Count("pk"),
        oldest=one(published, Min("scrubbed_at")),
        unread=one(unread, Min("published_at")),
        unread_count=one(unread, Count("pk")),
        damaged=Max(Subquery(damaged)),
    )
    return told | {name: told[name] or 0 for name in ("bytes", "unread_count", "damaged")}


def _scrub(found: dict[str, Any], at: datetime) -> State:
    """Since when the file that was hashed longest ago has not been; new ones count from birth."""
    oldest, unread = found["oldest"], found["unread"]
    if oldest is None and unread is None:
        return State(Tone.QUIET, "dash", gettext("nothing is published yet"))
    since = min(each for each in (oldest, unread) if each is not None)
    is_late = at - since > SCRUB_IS_LATE
    tone, shape = (Tone.WARN, "triangle") if is_late else (Tone.GOOD, "disc")
    return State(tone, shape, _scrub_in_words(oldest, found["unread_count"], at))


def _scrub_in_words(oldest: datetime | None, unread: int, at: datetime) -> str:
    if oldest is None:
        return gettext("no file was hashed again since it was published")
    words = gettext("all hashed again, the first of them {ago}").format(ago=age(oldest, at=at))
    if not unread:
        return words
    new = gettext("{releases} newer than that, not yet").format(releases=counted(unread, "release"))
    return f"{words}; {new}"


def _damage(count: int) -> State:
    if not count:
        return State(Tone.GOOD, "disc", gettext("none"))
    return State(Tone.BAD, "square", counted(count, "file"))
