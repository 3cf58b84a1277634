"""Drives a release through the pipeline in this process, step by step, as the workers do."""

from __future__ import annotations

from django.utils import timezone

from builds import pipeline
from builds.models import Build, Check, Release
from builds.pipeline import Step, advance
from builds.tests.factories import publish_held

WORKER = "test:1"


def take(step: Step) -> None:
    """Do one step."""
    match step.task:
        case "plan":
            release = Release.objects.get(pk=step.row)
            pipeline.pin(release, pipeline.builder_for(release), at=timezone.now())
        case "build":
            build = Build.objects.with_release().get(pk=step.row)
            pipeline.run(build, pipeline.builder_for(build.release), worker=WORKER)
        case "check":
            pipeline.run_check(Check.objects.get(pk=step.row), worker=WORKER)
        case "publish":
            release = Release.objects.get(pk=step.row)
            if release.is_draft:  # what is published already nobody can hold
                publish_held(release, timezone.now())
        case unknown:
            raise AssertionError(unknown)


def drive(release: Release) -> Release:
    """Do every step until the release has ended, those too that a broker was given."""
    for _ in range(20):
        release.refresh_from_db()
        at = timezone.now()
        for step in advance(release, at=at) or advance(release, at=at, again=True):
            take(step)
        if not release.is_draft:
            return release
    errors = [build.error for build in release.builds.all()]
    raise AssertionError(f"{release} does not come to an end: {release.reason} {errors}")
