"""From somebody's wish to the first line of its log in a browser: real worker, Redis, web."""

from __future__ import annotations

import time
from pathlib import Path

from django.utils import timezone

from bench import stack
from bench.turns import Row, told, verdict
from builds import pipeline, tasks
from builds.choices import System, Trigger, Variant
from builds.models import Build, Channel, Release, Target
from builds.tests.builders.flakes import SYSTEM, Flake, attribute
from builds.tests.logs.events import Stream

GOAL = 0.3


def first_line(folder: Path, rounds: int) -> list[Row]:
    """A new release, whose source must be pinned first, and one more try at one build."""
    channel = channel_of(folder / "failing", "echo it breaks; exit 1")
    with stack.redis_and_worker(folder), stack.web(folder) as (url, _):
        stack.fetch(url, "/builds/")
        retried, triggered, planned = [], [], []
        for _ in range(rounds):
            begun = time.perf_counter()
            [release] = pipeline.trigger(channel, [System(SYSTEM)], why=Trigger.ADMIN, forced=True)
            tasks.move_on(release)
            build = _build_of(release)
            planned.append(time.perf_counter() - begun)
            triggered.append(_first(url, build, begun))
            _end(build)
            begun = time.perf_counter()
            tasks.move_on(pipeline.retry(build, by=None, at=timezone.now()))
            again = _build_of(release, after=build.pk)
            retried.append(_first(url, again, begun))
            _end(again)
            print(
                f"  new release {triggered[-1]:.2f} s, of that plan {planned[-1]:.2f}; "
                f"one more try {retried[-1]:.2f} s",
                flush=True,
            )
    form = "{:.2f} s".format
    return [
        Row(
            "another try at a build, to its first line by server-sent events",
            *told(retried, form),
            "< 0.3 s",
            verdict(retried, GOAL),
        ),
        Row(
            "a new release, to the first line of its first build",
            *told(triggered, form),
            "< 0.3 s",
            verdict(triggered, GOAL),
        ),
        Row("  of that until its source is pinned and its builds are queued", *told(planned, form)),
    ]


def channel_of(folder: Path, script: str) -> Channel:
    """A channel whose one image is made by a script."""
    folder.mkdir()
    flake = Flake(folder, {"netboot": script}, versions={"netboot": "1"}).write()
    channel = Channel.objects.create(name="bench", title="bench", flake=flake.ref, checks=[])
    Target.objects.create(
        channel=channel, system=SYSTEM, variant=Variant.NETBOOT, attribute=attribute("{variant}")
    )
    return channel


def _build_of(release: Release, after: int = 0) -> Build:
    """Its build that came after this one."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        build = Build.objects.filter(release=release, pk__gt=after).first()
        if build is not None:
            return build
        time.sleep(0.005)
    raise AssertionError("no build was queued")


def _first(url: str, build: Build, begun: float) -> float:
    stream = Stream(url, f"/api/v1/builds/{build.pk}/events", timeout=60)
    stream.until("log")
    seconds = time.perf_counter() - begun
    stream.close()
    return seconds


def _end(build: Build) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not Release.objects.get(pk=build.release_id).is_draft:
            build.refresh_from_db()
            return
        time.sleep(0.02)
    raise AssertionError("the build did not end")
