"""How rows stand, said three times: a tone for the colour, a shape, a word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import TextChoices
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from builds.choices import BuildStatus, CheckName, ReleaseStatus, Stage, System, Verdict
from builds.models import Build, Check, Release, Reproduction
from builds.pipeline import queues
from builds.web.words import counted

BOOT = "boot-"


class Tone(TextChoices):
    """A colour by its meaning; each is a class in states.css."""

    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class State:
    """One state; `shape` names a drawing in templates/web/_shape.html."""

    tone: Tone
    shape: str
    word: StrOrPromise


@dataclass(frozen=True, slots=True)
class Making:
    """How far a draft is; `percent` is None where nobody can know it, `waits` where none works.

    `queue` is where it waits, "" where it does not; `unserved` says that no worker comes there.
    """

    word: str
    url: str
    percent: int | None = None
    queue: str = ""
    unserved: bool = False

    @property
    def waits(self) -> bool:
        """Whether nobody works on it right now."""
        return bool(self.queue)

    @property
    def state(self) -> State:
        """The same as a state."""
        if self.unserved:
            return State(Tone.WARN, "triangle", self.word)
        return State(Tone.QUIET, "ring", self.word) if self.waits else _busy(self.word)


PUBLISHED = State(Tone.GOOD, "disc", _("published"))
FAILED = State(Tone.BAD, "square", _("failed"))
WITHDRAWN = State(Tone.WARN, "cross", _("withdrawn"))
EXPIRED = State(Tone.QUIET, "dash", _("expired"))
DAMAGED = State(Tone.BAD, "square", _("damaged"))
CANCELLED = State(Tone.QUIET, "dash", _("cancelled"))
UNCHANGED = State(Tone.QUIET, "dash", _("nothing new"))
NOT_YET = State(Tone.QUIET, "ring", _("not built yet"))

_STAGES = {
    Stage.EVALUATE: (_("evaluating"), _("failed at evaluation")),
    Stage.BUILD: (_("building"), _("failed while building")),
    Stage.STORE: (_("storing"), _("failed while storing")),
}


# What went wrong where the stage alone would mislead; the kinds are names of exceptions.
_KINDS = {
    "EvaluationFailed": _("failed at evaluation"),
    "DerivationFailed": _("failed while building"),
    "BadProduct": _("failed: a product is missing or bad"),
    "BuildTimedOut": _("failed: a limit was reached"),
    "BuilderUnavailable": _("failed: network or builder"),
    "OutOfSpace": _("failed: no space left"),
    "Storage": _("failed while storing"),
}


_REPRODUCTIONS = {
    Reproduction.REPRODUCED: _("reproduced"),
    Reproduction.DIFFERS: _("built again it differs"),
    Reproduction.UNCHECKABLE: _("could not be built again"),
}


def stale(words: str) -> State:
    """The state of what should have been replaced by now."""
    return State(Tone.WARN, "triangle", words)


def release_name(release: Release) -> str:
    """What a release is called on its pages: its version, or what stands for it."""
    if release.version:
        return release.version
    return gettext("not named yet") if release.is_draft else gettext("without a version")


def release_state(release: Release) -> State:
    """How a release stands; of a draft, how far its builds and checks are."""
    if release.is_draft:
        return making(release).state
    if release.was_skipped:
        return UNCHANGED
    return {
        ReleaseStatus.PUBLISHED: PUBLISHED,
        ReleaseStatus.FAILED: FAILED,
        ReleaseStatus.WITHDRAWN: WITHDRAWN,
        ReleaseStatus.EXPIRED: EXPIRED,
    }.get(ReleaseStatus(release.status), CANCELLED)


def build_state(build: Build) -> State:
    """How a build stands."""
    running, failed = _STAGES.get(Stage(build.stage), ("", "")) if build.stage else ("", "")
    return {
        BuildStatus.QUEUED: State(Tone.QUIET, "ring", _("waiting")),
        BuildStatus.RUNNING: _busy(_with_percent(running or _("running"), build)),
        BuildStatus.SUCCEEDED: State(Tone.GOOD, "disc", _("succeeded")),
        BuildStatus.FAILED: State(
            Tone.BAD, "square", _KINDS.get(build.error_kind) or failed or _("failed")
        ),
        BuildStatus.CANCELLED: CANCELLED,
        BuildStatus.LOST: State(Tone.WARN, "triangle", _("lost")),
    }[BuildStatus(build.status)]


def check_state(check: Check) -> State:
    """What a check found."""
    if check.has_passed:
        return State(Tone.GOOD, "disc", check.get_verdict_display())
    if check.has_failed:
        return State(Tone.BAD, "square", check.get_verdict_display())
    if check.verdict == Verdict.RUNNING:
        return _busy(check.get_verdict_display())
    if not (check.release.is_published if not check.gates else check.release.is_draft):
        return State(Tone.QUIET, "dash", _("not run"))
    if check.retry_at is not None:
        return State(Tone.WARN, "triangle", _("could not be checked yet"))
    return State(Tone.QUIET, "ring", check.get_verdict_display())


def newest_attempts(builds: Iterable[Build]) -> list[Build]:
    """The last attempt at each variant, from builds of one release that are read already."""
    newest = {build.variant: build for build in sorted(builds, key=lambda build: build.attempt)}
    return list(newest.values())


def making(release: Release) -> Making:
    """How far a draft is, from its builds and checks (prefetch them)."""
    url = release.get_absolute_url()
    builds = newest_attempts(release.builds.all())
    if release.pinned_at is None or not builds:
        return Making(gettext("waits to be planned"), url, queue=queues.DEFAULT)
    if any(build.status != BuildStatus.SUCCEEDED for build in builds):
        return _building(builds, System(release.system), url)
    checks = list(release.checks.all())
    if all(check.lets_through for check in checks):
        return Making(gettext("publishing"), url)
    number = sum(check.lets_through for check in checks) + 1
    if not any(check.verdict == Verdict.RUNNING for check in checks):
        builds_only = all(c.lets_through or c.name == CheckName.REPRODUCED for c in checks)
        queue = System(release.system).queue if builds_only else queues.CHECK
        return Making(gettext("waits to be checked"), url, queue=queue)
    word = gettext("checking, {number} of {all}")
    return Making(word.format(number=min(number, len(checks)), all=len(checks)), url)


def _building(builds: Sequence[Build], system: System, url: str) -> Making:
    running = [build for build in builds if build.status == BuildStatus.RUNNING]
    if not running:
        return Making(gettext("waits for a worker"), url, queue=system.queue)
    percent = sum(build.percent for build in builds) // len(builds)
    if all(build.stage == Stage.EVALUATE for build in running) and not percent:
        return Making(gettext("evaluating"), url)
    return Making(_with_number(gettext("building"), percent), url, percent)


def checks_in_words(release: Release) -> str:
    """The checks of a release as a count with words: booted in 1 of 1 ways, emulated."""
    ended = [check for check in release.checks.all() if check.has_ended]
    if not ended:
        return gettext("not checked")
    checks = [check for check in ended if check.name != CheckName.REPRODUCED]
    boots = [check for check in checks if check.name.startswith(BOOT)]
    others = [check for check in checks if not check.name.startswith(BOOT)]
    parts = []
    if boots:
        passed = [check for check in boots if check.has_passed]
        words = gettext("booted in {passed} of {all} ways")
        counts = words.format(passed=len(passed), all=len(boots))
        parts.append(f"{counts}{_accelerated(passed)}")
    if others:
        passed = [check for check in others if check.has_passed]
        noun = "other check" if boots else "check"
        words = gettext("{passed} of {checks} passed")
        parts.append(words.format(passed=len(passed), checks=counted(len(others), noun)))
    # What another portal has compared says nothing of two builds here.
    if len(checks) < len(ended) and (found := Reproduction.of(release)) in Reproduction.found():
        parts.append(str(_REPRODUCTIONS[found]))
    return "; ".join(parts)


def accelerator_in_words(accelerator: str) -> str:
    """What a boot ran on: with KVM, or emulated."""
    return {"kvm": gettext("with KVM"), "tcg": gettext("emulated")}.get(accelerator, accelerator)


def _busy(word: StrOrPromise) -> State:
    return State(Tone.BUSY, "half", word)


def _accelerated(passed: Sequence[Check]) -> str:
    used = {check.accelerator for check in passed if check.accelerator}
    if len(used) > 1:
        return gettext(", some emulated")
    return "".join(f", {accelerator_in_words(accelerator)}" for accelerator in used)


def _with_percent(word: StrOrPromise, build: Build) -> StrOrPromise:
    if build.stage == Stage.BUILD and build.derivations_expected:
        return _with_number(word, build.percent)
    return word


def _with_number(word: StrOrPromise, percent: int) -> str:
    return f"{word} {percent}%"
