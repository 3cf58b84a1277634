"""What a release needs next, read from its rows alone; asking twice gives the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from builds.choices import BuildStatus
from builds.models import Build, Check, Release


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work for a worker: a task's name, the id of its row, the queue, the delay."""

    task: str
    row: int
    queue: str = "default"
    delay: float = 0


def advance(release: Release, *, at: datetime, again: bool = False) -> list[Step]:
    """Move a draft on as far as its rows allow; what is left for workers to do.

    What was handed to the broker before is left out, unless `again` is true.
    """
    if not release.is_draft or release.is_held:
        return []
    if release.pinned_at is None:
        return [Step("plan", release.pk)]
    builds = release.builds.newest_per_variant()
    _retry(builds)
    builds = release.builds.newest_per_variant()
    broken = next((build for build in builds if _ended_badly(build)), None)
    if broken is not None:
        _give_up(release, broken, at)
        return []
    if any(build.status != BuildStatus.SUCCEEDED for build in builds):
        waiting = (build for build in builds if build.status == BuildStatus.QUEUED)
        return [_build_step(build) for build in waiting if again or build.sent_at is None]
    return _after_builds(release, at, again=again)


def note_sent(step: Step, *, at: datetime) -> None:
    """Note that the broker has been given a step."""
    rows = {"build": Build.objects.all(), "check": Check.objects.all()}.get(step.task)
    if rows is not None:
        rows.filter(pk=step.row).update(sent_at=at)


def _after_builds(release: Release, at: datetime, *, again: bool) -> list[Step]:
    checks = list(release.checks.all())
    failed = next((check for check in checks if check.has_failed), None)
    if failed is not None:
        release.fail(f"The check {failed.name} failed: {failed.reason}", failed.console, at=at)
        return []
    if all(check.has_passed for check in checks):
        return [Step("publish", release.pk)]
    waiting = release.checks.waiting()
    return [
        Step("check", check.pk, queue="check")
        for check in waiting
        if again or check.sent_at is None
    ]


def _retry(builds: list[Build]) -> None:
    for build in builds:
        if build.may_retry and build.status in {BuildStatus.FAILED, BuildStatus.LOST}:
            build.again()


def _ended_badly(build: Build) -> bool:
    return build.is_final and build.status != BuildStatus.SUCCEEDED


def _give_up(release: Release, broken: Build, at: datetime) -> None:
    for build in release.builds.active():
        build.cancel(f"{broken.variant} of the same release {broken.status}.", at=at)
    if broken.status == BuildStatus.CANCELLED:
        release.cancel(broken.error, at=at)
        return
    tries = f" after {broken.attempt} attempts" if broken.attempt > 1 else ""
    release.fail(f"{broken.variant} {broken.status}{tries}: {broken.error}", broken.excerpt, at=at)


def _build_step(build: Build) -> Step:
    return Step(
        "build",
        build.pk,
        queue=f"build.{build.release.system}",
        delay=settings.BUILD_RETRY_SECONDS * (build.attempt - 1),
    )
