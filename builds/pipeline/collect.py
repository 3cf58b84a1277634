"""Retention: mark what its channel lets go, wait, look again, stop giving it out, delete it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from builds.models import (
    Answer,
    Artifact,
    BuildRecord,
    Channel,
    CountedBatch,
    DownloadCount,
    Event,
    Head,
    Pieces,
    Release,
    Token,
    monday,
)
from builds.pipeline import arriving
from builds.pipeline.naming import is_manifest
from builds.pipeline.publish import is_told, write_moving
from builds.pipeline.retention import ORPHAN_AGE, is_orphan, names_in, orphans
from builds.storage import ROOT, artifacts

logger = logging.getLogger(__name__)

# A download that began just before a release expired has this long to end.
DOWNLOAD_TIME = timedelta(days=1)
UNREAD_FOR = timedelta(days=1)
# Whoever fetches an old release day by day has copied its address; a grace of a month ends that.
READERS_HOLD_FOR = timedelta(days=30)
DAILY_FOR = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do: a word for it, what it is done to, why, and the doing.

    Doing it looks again whether it is still right; it may be done twice or break off anywhere.
    """

    word: str
    what: str
    why: str
    do: Callable[[], bool]

    def __str__(self) -> str:
        return f"{self.word} {self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Failure:
    """What the storage did not let happen; the next run does it again."""

    what: str
    error: OSError

    def __str__(self) -> str:
        return f"could not {self.what}: {self.error}"


def collect(*, at: datetime, channel: Channel | None = None) -> Iterator[Act | Failure]:
    """Do what is to be done, act by act; yields each that was done or failed."""
    for act in acts(at=at, channel=channel):
        try:
            done = act.do()
        except OSError as error:
            logger.warning("collect: could not %s %s: %s", act.word, act.what, error)
            yield Failure(f"{act.word} {act.what}", error)
            continue
        if done:
            logger.info("collect: %s", act)
            yield act


def acts(*, at: datetime, channel: Channel | None = None) -> Iterator[Act]:
    """What is to be done now, of one channel or of all, in its order.

    Raises OSError where the storage can't be listed.
    """
    for each in [channel] if channel else Channel.objects.all():
        yield from _markings(each, at)
        yield from _expiries(each, at)
    yield from _removals(channel, at)
    yield from _orphans(channel, at)
    if channel is None:
        yield from _arrivals(at)
        yield from _leftovers(at)
        yield from _events(at)
        yield from _foldings(at)
        yield from _tokens(at)


def let_go(channel: Channel, system: str, *, at: datetime) -> list[Release]:
    """The published releases that the channel's rules no longer hold.

    The last `keep_last` stay, and all of the last `keep_days`, the head, and what is kept.
    """
    head = Head.objects.of(channel.name, system)
    published = Release.objects.of(channel, system).published().select_related("channel")
    oldest = at - timedelta(days=channel.keep_days)
    return [
        release
        for release in published[channel.keep_last :]
        if release.published_at is not None
        and release.published_at <= oldest
        and not release.is_kept
        and (head is None or head.release_id != release.pk)
    ]


def _markings(channel: Channel, at: datetime) -> Iterator[Act]:
    systems = channel.releases.published().values_list("system", flat=True)
    free = [
        release
        for system in sorted(set(systems.order_by()))
        for release in let_go(channel, system, at=at)
    ]
    grace = f"it expires in {settings.COLLECT_GRACE_DAYS} days"
    for release in free:
        if release.marked_at is None:
            yield Act("mark", str(release), grace, partial(release.mark, at=at))
    for release in channel.releases.marked().exclude(pk__in=[release.pk for release in free]):
        yield Act("unmark", str(release), "its channel keeps it after all", release.unmark)


def _expiries(channel: Channel, at: datetime) -> Iterator[Act]:
    marked_before = at - timedelta(days=settings.COLLECT_GRACE_DAYS)
    ripe = channel.releases.marked().filter(marked_at__lte=marked_before)
    is_read = Artifact.objects.filter(release=OuterRef("pk"), last_read_at__gt=at - UNREAD_FOR)
    held = Q(Exists(is_read), marked_at__gt=marked_before - READERS_HOLD_FOR)
    for release in ripe.exclude(held):
        why = f"marked since {release.marked_at:%Y-%m-%d}; its files go a day later"
        yield Act("expire", str(release), why, partial(_expire, release, marked_before, at))


def _expire(release: Release, marked_before: datetime, at: datetime) -> bool:
    """Look again, then give it out no more; only then may its files go."""
    channel = Channel.objects.get(pk=release.channel_id)
    if release not in let_go(channel, release.system, at=at):
        return False
    is_held = release.marked_at is None or release.marked_at > marked_before - READERS_HOLD_FOR
    unread_since = at - UNREAD_FOR if is_held else at
    if not release.expire(marked_before=marked_before, unread_since=unread_since, at=at):
        return False
    write_moving(channel.name)
    return True


def _removals(channel: Channel | None, at: datetime) -> Iterator[Act]:
    leaving = Release.objects.leaving(
        expired_before=at - DOWNLOAD_TIME,
        failed_before=at - timedelta(days=settings.COLLECT_FAILED_DAYS),
        withdrawn_before=at - timedelta(days=settings.COLLECT_GRACE_DAYS),
    )
    for release in leaving.filter(channel=channel) if channel else leaving:
        why = f"it is {release.get_status_display()}"
        yield Act("remove files of", str(release), why, partial(_remove, release, at))


def _remove(release: Release, at: datetime) -> bool:
    """Delete a release's files, once the storage says so itself; then note that they are gone.

    Logs of builds stay: they belong to the record.
    """
    channel = release.channel.name
    if not is_told(channel):
        write_moving(channel)
    shared = names_in(Release.objects.beside(release).holding_files())
    # Without its manifest nobody takes what is left for a whole release.
    for name in sorted(names_in([release]) - shared, key=lambda name: not is_manifest(name)):
        artifacts().delete(release.key(name))
    Pieces.objects.of_release(release.pk).delete()
    BuildRecord.objects.of_release(release.pk).delete()
    return release.note_removed(at=at)


def _orphans(channel: Channel | None, at: datetime) -> Iterator[Act]:
    folder = f"{ROOT}/{channel.name}" if channel else ROOT
    for key in orphans(at=at, folder=folder):
        yield Act("delete", key, "nothing names it", partial(_delete_orphan, key))


def _delete_orphan(key: str) -> bool:
    if not is_orphan(key):
        return False
    artifacts().delete(key)
    return True


def _leftovers(at: datetime) -> Iterator[Act]:
    before = at - ORPHAN_AGE
    left = artifacts().drop_leftovers(before=before, only_list=True)
    if left:
        why = "the writes broke off"
        yield Act("drop", ", ".join(left), why, partial(_drop_leftovers, before))


def _events(at: datetime) -> Iterator[Act]:
    before = at - timedelta(days=settings.EVENTS_KEPT_DAYS)
    count = Event.objects.forgettable(before).count()
    if count:
        what = f"{count} events and their deliveries"
        yield Act("forget", what, f"told before {before:%Y-%m-%d}", partial(_forget, before))


def _forget(before: datetime) -> bool:
    return bool(Event.objects.forgettable(before).delete()[0])


def _arrivals(at: datetime) -> Iterator[Act]:
    for arrival in arriving.done_with(at=at):
        why = "its release is made" if arrival.release_id else "nobody went on with it"
        yield Act("forget the files of", str(arrival), why, partial(arriving.forget, arrival))
    strays = arriving.stray_parts(before=at - ORPHAN_AGE)
    if strays:
        why = "nothing names them"
        yield Act("drop", f"{len(strays)} parts of uploads", why, partial(_drop_strays, at))


def _drop_strays(at: datetime) -> bool:
    strays = arriving.stray_parts(before=at - ORPHAN_AGE)
    arriving.delete(strays)
    return bool(strays)


def _drop_leftovers(before: datetime) -> bool:
    return bool(artifacts().drop_leftovers(before=before))


def _foldings(at: datetime) -> Iterator[Act]:
    before = monday((at - DAILY_FOR).date())
    if DownloadCount.objects.foldable(before).exists():
        why = f"a week each is enough past {DAILY_FOR.days} days"
        yield Act("fold", f"download counts before {before}", why, partial(_fold, before, at))


def _fold(before: date, at: datetime) -> bool:
    CountedBatch.objects.forget(at=at)
    return bool(DownloadCount.objects.fold(before))


def _tokens(at: datetime) -> Iterator[Act]:
    answers, tokens = Answer.objects.outlived(at), Token.objects.forgettable(at)
    for rows, what, why in (
        (answers, "answers kept by a key", "their programs know by now"),
        (tokens, "API tokens", "they ended long ago"),
    ):
        if count := rows.count():
            yield Act("forget", f"{count} {what}", why, partial(_delete, rows))


def _delete(rows: QuerySet[Answer] | QuerySet[Token]) -> bool:
    return bool(rows.delete()[0])
