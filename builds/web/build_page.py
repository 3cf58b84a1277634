"""What the page of a build shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from builds.choices import BuildStatus, Stage
from builds.models import Build
from builds.pipeline import Line
from builds.web import states
from builds.web.states import State, Tone
from builds.web.waiting import what_it_waits_for
from builds.web.words import clock, counted, size


@dataclass(frozen=True, slots=True)
class StageStep:
    """One stage of a build: its name, how it stands, and the time that it took, "" if none yet."""

    label: str
    state: State
    took: str


_DONE = State(Tone.GOOD, "tick", "done")
_NOW = State(Tone.BUSY, "half", "now")
_BROKE = State(Tone.BAD, "square", "failed")
_STOPPED = State(Tone.QUIET, "dash", "stopped")
_AHEAD = State(Tone.QUIET, "ring", "to come")
_NEVER = State(Tone.QUIET, "dash", "not reached")


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
        expected = counted(build.derivations_expected, "derivation")
        parts.append(f"{build.derivations_done:,} of {expected} built")
    if build.bytes_expected:
        parts.append(f"{size(build.bytes_done)} of {size(build.bytes_expected)} fetched")
    return ", ".join(parts)


def what_happened(build: Build, *, at: datetime) -> str:
    """The one sentence that a build's page begins with; "" where there is nothing to explain."""
    if build.status == BuildStatus.QUEUED:
        words = what_it_waits_for(build, Line(at), at=at)
        return words or f"It waits for a worker that builds for {build.release.system}."
    if build.cancel_requested_at and not build.is_final:
        return "It was asked to stop, and is stopping."
    if build.status in {BuildStatus.RUNNING, BuildStatus.SUCCEEDED}:
        return ""
    return build.error or states.build_state(build).word
