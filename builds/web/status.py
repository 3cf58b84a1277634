"""What the status page shows: queues, workers, parts, disks, how fresh each channel is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import Max
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from builds.choices import BuildStatus, System, Verdict
from builds.models import Channel, Check, Release, Worker
from builds.pipeline import queues, space
from builds.web import mirrors, states
from builds.web.dashboard import FRESH_FOR, Matrix, gather
from builds.web.kept import kept
from builds.web.parts import Part
from builds.web.probes import Answer, answers
from builds.web.signing_key import signer_part
from builds.web.states import State, Tone
from builds.web.waiting import nobody
from builds.web.words import age, counted, size, span

# The parts by the names that probes and disks have.
NAMES = {
    "database": _("database"),
    "broker": _("broker"),
    "storage": _("storage"),
    "the Nix store": _("the Nix store"),
    "the data folder": _("the data folder"),
}
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
    started = time.monotonic()
    matrix = gather(at=at, briefly=True)
    database = Answer("database", "", time.monotonic() - started)  # it has answered just now
    line = matrix.line
    rows = tuple(_queue_rows(matrix, at))
    others = answers(leave_out={"database", "catalogue"})
    own = (*map(_part, [database, *others]), signer_part(at), _beat(at), *_disks())
    parts = (*own, *kept(at), *mirrors.parts(at))
    fresh = tuple(_freshness(matrix, at))
    gone = (worker for worker in line.known if worker.seen_at > at - GONE_FOR)
    told: list[QueueRow | Part | Freshness] = [*rows, *parts, *fresh]
    tones = [each.state.tone for each in told]
    return StatusPage(
        summary=_summary(tones),
        queues=rows,
        workers=tuple(line.workers),
        gone=tuple(worker for worker in gone if worker not in line.workers),
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


def _queue_rows(matrix: Matrix, at: datetime) -> Iterator[QueueRow]:
    line, drafts = matrix.line, matrix.drafts
    plans = [draft.created_at for draft in drafts if draft.pinned_at is None]
    purpose = gettext("planning and publishing")
    yield _queue(matrix, at, queues.DEFAULT, purpose=purpose, waiting=plans, running=0)
    checks = [check for draft in drafts for check in draft.checks.all()]
    ready = [check.release.created_at for check in _ready(checks, at)]
    at_it = sum(check.verdict == Verdict.RUNNING for check in checks)
    yield _queue(matrix, at, queues.CHECK, purpose=gettext("checks"), waiting=ready, running=at_it)
    for system in System:
        waiting = [b.queued_at for b in line.waiting if b.release.system == system]
        running = sum(build.release.system == system for build in line.running)
        purpose = gettext("builds for {system}").format(system=system)
        yield _queue(matrix, at, system.queue, purpose=purpose, waiting=waiting, running=running)


def _ready(checks: Iterable[Check], at: datetime) -> list[Check]:
    """Those whose release is built: the others wait for builds, and no worker could help."""
    waiting = (check for check in checks if check.verdict == Verdict.PENDING and check.is_due(at))
    return [check for check in waiting if not _is_building(check.release)]


def _is_building(release: Release) -> bool:
    builds = states.newest_attempts(release.builds.all())
    return not builds or any(build.status != BuildStatus.SUCCEEDED for build in builds)


def _queue(
    matrix: Matrix, at: datetime, name: str, *, purpose: str, waiting: list[datetime], running: int
) -> QueueRow:
    line = matrix.line
    since = line.unserved_since(name, min(waiting, default=None))
    systems = {system.queue: system.value for system in System}
    what = systems.get(name, purpose)
    is_needed = what not in System.values or what in matrix.systems
    unserved = partial(_unserved, what, at=at, wanted=bool(waiting), is_needed=is_needed)
    return QueueRow(
        name=name,
        purpose=purpose,
        state=SERVED if since is None else unserved(since),
        workers=len(line.serving(name)),
        running=running,
        waiting=len(waiting),
        oldest_at=min(waiting, default=None),
    )


def _unserved(what: str, since: datetime, *, at: datetime, wanted: bool, is_needed: bool) -> State:
    if wanted:
        return State(Tone.BAD, "square", nobody(what, since, at=at))
    if not is_needed:
        return State(Tone.QUIET, "dash", gettext("not needed: no channel is built for it"))
    return State(Tone.WARN, "triangle", gettext("no worker"))


def _part(answer: Answer) -> Part:
    took = f"{answer.seconds * 1000:.0f} ms"
    return Part(
        NAMES.get(answer.name, answer.name), SILENT if answer.error else GOOD, answer.error or took
    )


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
        yield Part(NAMES.get(name, name), state, "")


def _said(word: str, *, good: bool) -> State:
    return State(Tone.GOOD, "disc", word) if good else State(Tone.BAD, "square", word)


def _freshness(matrix: Matrix, at: datetime) -> Iterator[Freshness]:
    for row in matrix.rows:
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
