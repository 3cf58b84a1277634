"""What a release needs next, read from its rows alone; asking twice gives the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from builds.choices import BuildStatus, CheckName, System
from builds.models import Build, Check, Release, pause
from builds.pipeline.queues import CHECK

# For so long a release waits for a check that holds nothing back and that nobody takes.
TOLD_WITHIN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work for a worker: a task's name, the id of its row, the queue, the delay."""

    task: str
    row: int
    queue: str = "default"
    delay: float = 0


def advance(release: Release, *, at: datetime, again: bool = False) -> list[Step]:
    """Move a draft on as far as its rows allow; what is left for workers to do.

    What was handed to the broker before is left out, unless `again` is true. Of a published
    release that is one of its later checks.
    """
    if release.is_published:
        return _after_publishing(release, again=again)
    if not release.is_draft or release.is_held:
        return []
    if release.pinned_at is None:
        return _plan_step(release, at, again=again)
    builds = release.builds.newest_per_variant()
    _retry(builds, at)
    builds = release.builds.newest_per_variant()
    broken = next((build for build in builds if _ended_badly(build)), None)
    if broken is not None:
        _give_up(release, broken, at)
        return []
    if any(build.status != BuildStatus.SUCCEEDED for build in builds):
        waiting = (build for build in builds if build.status == BuildStatus.QUEUED)
        return [
            _build_step(release, build, at)
            for build in waiting
            if build.sent_at is None or (again and build.is_due(at))
        ]
    return _after_builds(release, at, again=again)


def note_sent(step: Step, *, at: datetime) -> None:
    """Note that the broker has been given a step: a build's last time, a check's first."""
    if step.task == "build":
        Build.objects.filter(pk=step.row).update(sent_at=at)
    elif step.task == "check":
        Check.objects.filter(pk=step.row, sent_at=None).update(sent_at=at)


def _after_builds(release: Release, at: datetime, *, again: bool) -> list[Step]:
    checks = list(release.checks.all())
    failed = next((check for check in checks if check.has_failed and check.holds_back), None)
    if failed is not None:
        release.fail(f"The check {failed.name} failed: {failed.reason}", failed.console, at=at)
        return []
    for check in checks:
        if is_told(check) and check.sent_at and at - check.sent_at > TOLD_WITHIN:
            check.give_up("No worker that builds for this system came to it.")
    if all(check.lets_through for check in checks):
        return [Step("publish", release.pk)]
    return [
        check_step(check, release)
        for check in release.checks.due(at)
        if again or check.sent_at is None
    ]


def is_told(check: Check) -> bool:
    """Whether its release waits for it, and is published whatever it finds."""
    return check.gates and not check.holds_back


def check_step(check: Check, release: Release, *, delay: float = 0) -> Step:
    """Have a check made: where images boot, or where they are built."""
    builds = check.name == CheckName.REPRODUCED
    queue = System(release.system).queue if builds else CHECK
    return Step("check", check.pk, queue=queue, delay=delay)


def _after_publishing(release: Release, *, again: bool) -> list[Step]:
    """The next later check, while no draft waits for a worker: nobody waits for this one."""
    check = release.checks.later().waiting().first()
    if check is None or (check.sent_at is not None and not again) or _is_busy():
        return []
    return [check_step(check, release)]


def _is_busy() -> bool:
    return (
        Build.objects.running().exists()
        or Check.objects.later().running().exists()
        or Check.objects.gating().running().exists()
        or Check.objects.gating().handed_out().exists()
    )


def _plan_step(release: Release, at: datetime, *, again: bool) -> list[Step]:
    """What was postponed goes to the broker at once with its delay, and again when it is due."""
    if again and release.is_postponed(at):
        return []
    return [Step("plan", release.pk, delay=_seconds_until(release.retry_at, at))]


def _retry(builds: list[Build], at: datetime) -> None:
    """Try again what may do better next time: after a failure not at once, after a loss at once."""
    for build in builds:
        if build.may_retry and build.status == BuildStatus.FAILED:
            build.again(at=at + pause(build.tries))
        elif build.may_retry and build.status == BuildStatus.LOST:
            build.again()


def _ended_badly(build: Build) -> bool:
    """Also where it was too late to stop it: who asked for that wants no release."""
    wanted = build.status == BuildStatus.SUCCEEDED and build.cancel_requested_at is None
    return build.is_final and not wanted


def _give_up(release: Release, broken: Build, at: datetime) -> None:
    for build in release.builds.active():
        build.cancel(f"{broken.variant} of the same release {broken.status}.", at=at)
    if broken.status in {BuildStatus.CANCELLED, BuildStatus.SUCCEEDED}:
        release.cancel(broken.error or "It was cancelled.", at=at)
        return
    count = broken.tries
    tries = f" after {count} attempts" if count > 1 else ""
    release.fail(f"{broken.variant} {broken.status}{tries}: {broken.error}", broken.excerpt, at=at)


def _build_step(release: Release, build: Build, at: datetime) -> Step:
    delay = _seconds_until(build.retry_at, at)
    return Step("build", build.pk, queue=System(release.system).queue, delay=delay)


def _seconds_until(then: datetime | None, at: datetime) -> float:
    return max(0.0, (then - at).total_seconds()) if then else 0.0
