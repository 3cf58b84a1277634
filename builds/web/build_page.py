"""What the page of a build shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from builds import logs
from builds.choices import BuildStatus, Stage, Verdict
from builds.logs import LAST_LINES, Window
from builds.models import Build, Check, Release
from builds.pipeline import Line
from builds.web import states
from builds.web.states import State, Tone
from builds.web.waiting import what_it_waits_for
from builds.web.words import clock, counted, number, size


@dataclass(frozen=True, slots=True)
class StageStep:
    """One stage of a build: its name, how it stands, and the time that it took, "" if none yet."""

    label: StrOrPromise
    state: State
    took: str


_LONG = 12  # digits

_DONE = State(Tone.GOOD, "tick", _("done"))
_NOW = State(Tone.BUSY, "half", _("now"))
_BROKE = State(Tone.BAD, "square", _("failed"))
_STOPPED = State(Tone.QUIET, "dash", _("stopped"))
_AHEAD = State(Tone.QUIET, "ring", _("to come"))
_NEVER = State(Tone.QUIET, "dash", _("not reached"))


def stage_steps(build: Build) -> list[StageStep]:
    """The stages of a build in their order."""
    return [
        StageStep(
            label=stage.label,
            state=_stage_state(build, stage),
            took=clock(build.stage_seconds[stage]) if stage in build.stage_seconds else "",
        )
        for stage in Stage
    ]


def way_steps(build: Build) -> list[StageStep]:
    """The whole way: the stages of a build, then what its release goes through."""
    release = build.release
    checks = list(release.checks.all()) if build.status == BuildStatus.SUCCEEDED else []
    seconds = sum(check.seconds or 0 for check in checks)
    check, publish = _check_state(build, checks), _publish_state(release, checks)
    return [
        *stage_steps(build),
        StageStep(_("Check"), check, clock(seconds) if seconds else ""),
        StageStep(_("Publish"), publish, ""),
    ]


def _check_state(build: Build, checks: list[Check]) -> State:
    """How the checks of a build's release stand; none where the build did not come so far."""
    if any(check.has_failed for check in checks):
        return _BROKE
    if checks and all(check.has_passed for check in checks):
        return _DONE
    if any(check.verdict == Verdict.RUNNING for check in checks):
        return _NOW
    return _AHEAD if build.release.is_draft else _NEVER


def _publish_state(release: Release, checks: list[Check]) -> State:
    if release.published_at is not None:
        return _DONE
    if not release.is_draft:
        return _NEVER
    return _NOW if checks and all(check.lets_through for check in checks) else _AHEAD


def _stage_state(build: Build, stage: Stage) -> State:
    order = list(Stage)
    if build.status == BuildStatus.SUCCEEDED:
        return _DONE
    if not build.stage or order.index(stage) > order.index(Stage(build.stage)):
        return _NEVER if build.is_final else _AHEAD
    if stage != build.stage:
        return _DONE
    if build.status == BuildStatus.RUNNING:
        return _NOW
    return _BROKE if build.status == BuildStatus.FAILED else _STOPPED


def progress_in_words(build: Build) -> str:
    """How far a running build is: 12 of 29 derivations, 310 MiB of 1.2 GiB fetched."""
    parts = []
    if build.derivations_expected:
        words = gettext("{done} of {derivations} built")
        expected = counted(build.derivations_expected, "derivation")
        parts.append(words.format(done=number(build.derivations_done), derivations=expected))
    if build.bytes_expected:
        words = gettext("{done} of {all} fetched")
        parts.append(words.format(done=size(build.bytes_done), all=size(build.bytes_expected)))
    return ", ".join(parts)


def what_happened(build: Build, *, at: datetime) -> str:
    """The one sentence that a build's page begins with; "" where there is nothing to explain."""
    if build.status == BuildStatus.QUEUED:
        words = what_it_waits_for(build, Line(at), at=at)
        nobody = gettext("It waits for a worker that builds for {system}.")
        return words or nobody.format(system=build.release.system)
    if build.cancel_requested_at and not build.is_final:
        return gettext("It was asked to stop, and is stopping.")
    if build.status in {BuildStatus.RUNNING, BuildStatus.SUCCEEDED}:
        return ""
    return build.error or str(states.build_state(build).word)


def timing_in_words(build: Build, usual: timedelta | None, *, at: datetime) -> str:
    """How long a running build has run and will run: 3:12 of about 14:00, as far as is known."""
    if build.started_at is None or build.is_final:
        return ""
    elapsed = clock(max(0.0, (at - build.started_at).total_seconds()))
    if usual is None:
        words = gettext("{elapsed} so far; no earlier build tells how long it takes")
        return words.format(elapsed=elapsed)
    words = gettext("{elapsed} of about {expected}")
    return words.format(elapsed=elapsed, expected=clock(usual.total_seconds()))


@dataclass(frozen=True, slots=True)
class LogView:
    """The part of a log that a page shows.

    `follows` is true where that is its end and more may come, `from_end` where one begins to read
    at the end; `earlier` and `later` are the
    first lines of the parts next to it, 0 where there is none.
    """

    window: Window
    follows: bool
    from_end: bool
    earlier: int
    later: int


def log_view(build: Build, first: str, wanted: str) -> LogView:
    """The last lines of a log, or those from the line that the URL names; none on log=no."""
    if wanted == "no":
        return LogView(Window(), follows=False, from_end=False, earlier=0, later=0)
    start = int(first) if first.isascii() and first.isdecimal() and len(first) < _LONG else None
    window = logs.window(build.pk, start)
    return LogView(
        window=window,
        follows=start is None and not build.is_final,
        from_end=start is None and build.status != BuildStatus.SUCCEEDED,
        earlier=max(1, window.first - LAST_LINES) if window.first > 1 else 0,
        later=window.last + 1 if window.to_come else 0,
    )
