"""When a draft should be published, told from earlier builds and checks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from builds.choices import System, Variant
from builds.models import Build, Channel, Check, Release, Worker
from builds.pipeline import Line, publication
from builds.tests.factories import BuildFactory, ChannelFactory, CheckFactory, ReleaseFactory

pytestmark = pytest.mark.django_db
X86 = System.X86_64
MINUTE = timedelta(minutes=1)
NOW = timezone.now()


@pytest.fixture
def channel() -> Channel:
    """An earlier release took ten minutes to build, and its two checks three and five."""
    channel: Channel = ChannelFactory(systems=[X86], checks=[])
    earlier = ReleaseFactory(channel=channel, published=True)
    Build.objects.update(started_at=NOW - 10 * MINUTE, finished_at=NOW)
    for name, minutes in (("boot", 3), ("compare", 5)):
        CheckFactory(
            release=earlier,
            name=name,
            passed=True,
            started_at=NOW - minutes * MINUTE,
            finished_at=NOW,
        )
    return channel


def draft(channel: Channel) -> Release:
    """A planned draft with one waiting build and two waiting checks."""
    release: Release = ReleaseFactory(channel=channel, pinned=True, queue=False)
    BuildFactory(release=release, variant=Variant.NETBOOT)
    for name in ("boot", "compare"):
        CheckFactory(release=release, name=name)
    return release


def worker(*queues: str, capacity: int = 1) -> None:
    Worker.objects.arrive(f"worker@{queues[0]}", queues, capacity, at=NOW)


def left(release: Release) -> float | None:
    """Minutes until it should be published."""
    line = Line(NOW)
    then = publication(release, line, at=NOW)
    return None if then is None else (then - NOW) / MINUTE


def test_checks_follow_the_builds_one_after_the_other_at_one_worker(channel: Channel) -> None:
    worker(X86.queue)
    worker("check")
    assert left(draft(channel)) == 10 + 3 + 5


def test_two_places_check_at_the_same_time(channel: Channel) -> None:
    worker(X86.queue)
    worker("check", capacity=2)
    assert left(draft(channel)) == 10 + 5


def test_what_is_done_already_is_not_counted_again(channel: Channel) -> None:
    worker(X86.queue)
    worker("check")
    release = draft(channel)
    Build.objects.filter(release=release).update(
        status="succeeded", started_at=NOW - MINUTE, finished_at=NOW
    )
    Check.objects.filter(release=release, name="boot").update(
        verdict="running", started_at=NOW - 2 * MINUTE
    )
    assert left(release) == 1 + 5


def test_nothing_is_said_where_it_can_not_be_known(channel: Channel) -> None:
    release = draft(channel)
    worker(X86.queue)
    assert left(release) is None, "nobody serves the checks"
    worker("check")
    CheckFactory(release=release, name="new")
    assert left(release) is None, "nobody knows how long the new check takes"
    assert left(ReleaseFactory(channel=channel, system=System.AARCH64)) is None, "not planned yet"


def test_page_of_a_draft_says_when_it_should_be_published(channel: Channel, client: Client) -> None:
    worker(X86.queue)
    worker("check")
    page = client.get(draft(channel).get_absolute_url()).content.decode()
    assert "It should be published <time" in page
