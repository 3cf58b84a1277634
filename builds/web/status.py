"""What the status page shows: queues, workers, parts, disks, how fresh each channel is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from builds.choices import BuildStatus, ReleaseStatus, System, Verdict
from builds.models import Channel, Check, Release, Target, Worker
from builds.pipeline import Line, queues, space
from builds.web import states
from builds.web.dashboard import FRESH_FOR, gather
from builds.web.kept import kept
from builds.web.parts import Part
from builds.web.probes import Answer, answers
from builds.web.states import State, Tone
from builds.web.waiting import nobody
from builds.web.words import age, counted, size, span

BEAT_IS_LATE = timedelta(minutes=5)
GONE_FOR = timedelta(days=7)
GOOD = State(Tone.GOOD, "disc", _("answers"))
SERVED = State(Tone.GOOD, "disc", _("served"))
SILENT = State(Tone.BAD, "square", _("does not answer"))


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One queue: who serves it, what waits and runs, in words where nobody comes."""

    name: str
    purpose: str
    state: State
    workers: int
    running: int
    waiting: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the latest release of a channel on a system is, against the target."""

    channel: Channel
    system: System
    state: State
    words: str
    url: str


@dataclass(frozen=True, slots=True)
class StatusPage:
    """All of it."""

    summary: State
    queues: tuple[QueueRow, ...]
    workers: tuple[Worker, ...]
    gone: tuple[Worker, ...]
    parts: tuple[Part, ...]
    freshness: tuple[Freshness, ...]


def status_page(*, at: datetime) -> StatusPage:
    """The portal as it stands at `at`."""
    line = Line(at)
    rows = tuple(_queue_rows(line, at))
    parts = (*map(_part, answers()), _beat(at), *_disks(), *kept(at))
    fresh = tuple(_freshness(at))
    gone = Worker.objects.filter(seen_at__gt=at - GONE_FOR).exclude(
        pk__in=[worker.pk for worker in line.workers]
    )
    told: list[QueueRow | Part | Freshness] = [*rows, *parts, *fresh]
    tones = [each.state.tone for each in told]
    return StatusPage(
        summary=_summary(tones),
        queues=rows,
        workers=tuple(line.workers),
        gone=tuple(gone),
        parts=parts,
        freshness=fresh,
    )


def _summary(tones: list[Tone]) -> State:
    loud = sum(tone in {Tone.BAD, Tone.WARN} for tone in tones)
    if not loud:
        return State(Tone.GOOD, "disc", gettext("all is well"))
    tone, shape = (Tone.BAD, "square") if Tone.BAD in tones else (Tone.WARN, "triangle")
    words = gettext("{things} to look at").format(things=counted(loud, "thing"))
    return State(tone, shape, words)


def _queue_rows(line: Line, at: datetime) -> Iterator[QueueRow]:
    drafts = Release.objects.drafts()
    plans = [draft.created_at for draft in drafts if draft.pinned_at is None]
    checks = Check.objects.filter(release__status=ReleaseStatus.DRAFT)
    ready = [check.release.created_at for check in _ready(checks.waiting())]
    yield _queue(
        line,
        at,
        queues.DEFAULT,
        purpose=gettext("planning and publishing"),
        waiting=plans,
        running=0,
    )
    at_it = checks.filter(verdict=Verdict.RUNNING).count()
    yield _queue(line, at, queues.CHECK, purpose=gettext("checks"), waiting=ready, running=at_it)
    for system in System:
        waiting = [b.queued_at for b in line.waiting if b.release.system == system]
        running = sum(build.release.system == system for build in line.running)
        purpose = gettext("builds for {system}").format(system=system)
        yield _queue(line, at, system.queue, purpose=purpose, waiting=waiting, running=running)


def _ready(checks: QuerySet[Check]) -> list[Check]:
    """Those whose release is built: the others wait for builds, and no worker could help."""
    found = checks.select_related("release").prefetch_related("release__builds")
    return [check for check in found if not _is_building(check.release)]


def _is_building(release: Release) -> bool:
    builds = states.newest_attempts(release.builds.all())
    return not builds or any(build.status != BuildStatus.SUCCEEDED for build in builds)


def _queue(
    line: Line, at: datetime, name: str, *, purpose: str, waiting: list[datetime], running: int
) -> QueueRow:
    since = line.unserved_since(name, min(waiting, default=None))
    systems = {system.queue: system.value for system in System}
    what = systems.get(name, purpose)
    return QueueRow(
        name=name,
        purpose=purpose,
        state=SERVED if since is None else _unserved(what, since, at, wanted=bool(waiting)),
        workers=len(line.serving(name)),
        running=running,
        waiting=len(waiting),
        oldest_at=min(waiting, default=None),
    )


def _unserved(what: str, since: datetime, at: datetime, *, wanted: bool) -> State:
    if wanted:
        return State(Tone.BAD, "square", nobody(what, since, at=at))
    if what in System.values and not Target.objects.filter(system=what).exists():
        return State(Tone.QUIET, "dash", gettext("not needed: no channel is built for it"))
    return State(Tone.WARN, "triangle", gettext("no worker"))


def _part(answer: Answer) -> Part:
    took = f"{answer.seconds * 1000:.0f} ms"
    return Part(answer.name, SILENT if answer.error else GOOD, answer.error or took)


def _beat(at: datetime) -> Part:
    last = PeriodicTask.objects.filter(enabled=True).aggregate(last=Max("last_run_at"))["last"]
    if last is None:
        return Part(
            gettext("schedule"), State(Tone.WARN, "triangle", gettext("has not ticked yet")), ""
        )
    words = gettext("ticked {ago}").format(ago=age(last, at=at))
    return Part(gettext("schedule"), _said(words, good=at - last <= BEAT_IS_LATE), "")


def _disks() -> Iterator[Part]:
    for name, folder in space.places().items():
        left = space.free(folder)
        state = _said(
            gettext("{size} free").format(size=size(left)), good=left >= settings.DISK_FREE_LEAST
        )
        yield Part(name, state, "")


def _said(word: str, *, good: bool) -> State:
    return State(Tone.GOOD, "disc", word) if good else State(Tone.BAD, "square", word)


def _freshness(at: datetime) -> Iterator[Freshness]:
    for row in gather(at=at).rows:
        for cell in row.built():
            words = _age_in_words(cell.release, at)
            yield Freshness(row.channel, cell.system, cell.state, words, cell.url)


def _age_in_words(head: Release | None, at: datetime) -> str:
    if head is None or head.published_at is None:
        return gettext("nothing is published yet")
    old = at - head.published_at
    if old <= FRESH_FOR:
        return gettext("{length} old, within a week and a day").format(length=span(old))
    words = gettext("{length} old: {over} past a week and a day")
    return words.format(length=span(old), over=span(old - FRESH_FOR))
