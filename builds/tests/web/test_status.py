"""The status page, and what pages say of builds that wait, fail or may be stopped."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from builds.choices import BuildStatus, System
from builds.models import AuditEntry, Build, Release, Worker
from builds.tests.factories import BuildFactory, ChannelFactory, ReleaseFactory, UserFactory
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db
QUEUES = ["default", "check", *(system.queue for system in System)]


@pytest.fixture
def as_admin(client: Client) -> Client:
    client.force_login(UserFactory(admin=True))
    return client


def tick() -> None:
    every = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.MINUTES)
    PeriodicTask.objects.create(name="x", interval=every, last_run_at=timezone.now())


def test_status_of_a_portal_where_all_is_well(client: Client, settings: LazySettings) -> None:
    Worker.objects.arrive("worker@secret-host", QUEUES, 2, at=timezone.now())
    ReleaseFactory(published=True, at=timezone.now() - timedelta(days=2))
    tick()
    text = text_of(client.get("/status/"))
    assert text.count("served") == len(QUEUES)
    assert "2 days old, within a week and a day" in text
    assert "ticked just now" in text
    assert "GiB free" in text
    assert "secret-host" not in text


def test_status_shows_names_to_staff(as_admin: Client) -> None:
    Worker.objects.arrive("worker@secret-host", QUEUES, 2, at=timezone.now())
    assert "worker@secret-host" in text_of(as_admin.get("/status/"))


def test_status_says_for_how_long_a_queue_has_had_no_worker(client: Client) -> None:
    worker = Worker.objects.arrive("worker@one", ["build.aarch64-linux"], 1, at=timezone.now())
    Worker.objects.filter(pk=worker.pk).update(seen_at=timezone.now() - timedelta(hours=2))
    release = ReleaseFactory(system=System.AARCH64, pinned=True, queue=False)
    build = BuildFactory(release=release)
    text = text_of(client.get("/status/"))
    assert "no worker for aarch64-linux for 120 minutes" in text or "for 2 hours" in text
    assert "last heard of 2 hours ago" in text or "last heard of 120 minutes ago" in text
    assert "to look at" in text
    for url in (build.get_absolute_url(), "/", "/builds/", release.get_absolute_url()):
        assert "no worker for aarch64-linux for" in text_of(client.get(url)), url


def test_status_without_worker_or_tick_says_what_is_wrong(client: Client) -> None:
    text = text_of(client.get("/status/"))
    assert "No worker has ever been heard of" in text
    assert "has not ticked yet" in text
    assert "No channel is set up" in text


def test_status_of_an_old_release_names_the_target(client: Client) -> None:
    ReleaseFactory(published=True, at=timezone.now() - timedelta(days=11, hours=1))
    assert "11 days old: 3 days past a week and a day" in text_of(client.get("/status/"))


def test_navigation_leads_to_the_status_page(client: Client) -> None:
    assert '<a href="/status/" aria-current="page">Status</a>' in " ".join(
        client.get("/status/").content.decode().split()
    )


def test_waiting_build_tells_its_place_and_when_it_should_start(client: Client) -> None:
    Worker.objects.arrive("worker@one", QUEUES, 1, at=timezone.now())
    earlier = ReleaseFactory(published=True)
    builds = [
        BuildFactory(release=ReleaseFactory(channel=channel, pinned=True, queue=False))
        for channel in (earlier.channel, ChannelFactory())
    ]
    first = text_of(client.get(builds[0].get_absolute_url()))
    second = text_of(client.get(builds[1].get_absolute_url()))
    assert "It is next in line, and should start at once. It usually takes 15 minutes." in first
    assert "It is 2nd in line, and should start in 15 minutes." in second
    assert "2nd in line" in text_of(client.get("/builds/"))


def test_build_that_will_be_retried_says_when(client: Client) -> None:
    failed = BuildFactory(failed=True, may_retry=True, error_kind="BuilderUnavailable")
    later = BuildFactory(
        release=failed.release,
        attempt=2,
        retry_at=timezone.now() + timedelta(seconds=125),
    )
    assert "It will be tried again in 2 minutes" in text_of(client.get(later.get_absolute_url()))
    page = text_of(client.get(failed.get_absolute_url()))
    assert "It is tried again by itself." in page
    assert "failed: network or builder" in page
    assert "will be tried again in 2 minutes" in text_of(
        client.get(failed.release.get_absolute_url())
    )


def test_failed_derivation_is_not_tried_again_and_says_so(client: Client) -> None:
    text = text_of(client.get(BuildFactory(failed=True).get_absolute_url()))
    assert "the same source would fail the same way" in text


def test_red_release_names_the_first_red_the_last_good_and_the_range(client: Client) -> None:
    channel = ChannelFactory()
    now = timezone.now()
    good = ReleaseFactory(channel=channel, published=True, at=now - timedelta(weeks=3))
    first = ReleaseFactory(channel=channel, failed=True, at=now - timedelta(weeks=2))
    last = ReleaseFactory(channel=channel, failed=True, at=now - timedelta(weeks=1))
    number = first.builds.order_by("pk")[0].pk
    span = f"{good.revision[:7]}..{first.revision[:7]}"
    for url in (last.get_absolute_url(), last.builds.first().get_absolute_url()):
        response = client.get(url)
        text = text_of(response)
        assert f"Red since build {number}, 14 days ago" in text
        assert f"The last good one was {good.version}" in text
        assert span in text
        assert f"/compare/{good.revision}...{first.revision}" in response.content.decode()
    assert f"red since build {number}, 14 days" in text_of(client.get("/"))


def offers(response: Any) -> set[str]:
    """The acts of the bar that can be done now."""
    return set(re.findall(r'class="act-link" href="[^"]*">([^<]*)', response.content.decode()))


def test_admin_cancels_a_build_from_its_page(as_admin: Client) -> None:
    build = BuildFactory()
    page = build.get_absolute_url()
    assert "Cancel this build" in offers(as_admin.get(page))
    response = as_admin.post(f"{page}cancel", follow=True)
    build.refresh_from_db()
    assert build.status == BuildStatus.CANCELLED
    assert "is cancelled, and its release with it" in text_of(response)
    assert "Cancel this build" not in offers(response)
    assert "has ended already" in text_of(as_admin.post(f"{page}cancel", follow=True))


def test_admin_retries_a_failed_release_from_its_page_or_a_builds(as_admin: Client) -> None:
    for row in (ReleaseFactory(failed=True), ReleaseFactory(failed=True).builds.first()):
        release = row if isinstance(row, Release) else row.release
        page = row.get_absolute_url()
        assert offers(as_admin.get(page)) & {"Retry", "Retry what failed"}
        url = f"/releases/{row.pk}/retry" if row is release else f"{page}retry"
        response = as_admin.post(url, follow=True)
        release.refresh_from_db()
        assert release.is_draft
        assert "is tried again" in text_of(response)
        assert not offers(response) & {"Retry", "Retry what failed"}


def test_retry_that_is_too_late_says_why(as_admin: Client) -> None:
    release = ReleaseFactory(failed=True)
    ReleaseFactory(channel=release.channel)
    response = as_admin.post(f"/releases/{release.pk}/retry", follow=True)
    assert "Another release of" in text_of(response)


@pytest.mark.parametrize("act", ["cancel", "retry"])
def test_control_wants_permission_post_and_token(client: Client, act: str) -> None:
    build = BuildFactory(failed=True) if act == "retry" else BuildFactory()
    if act == "retry":
        build.release.fail("x", at=timezone.now())
    url = f"/builds/{build.pk}/{act}"
    assert client.post(url).headers["Location"] == f"/accounts/login/?next={url}"
    assert not offers(client.get(build.get_absolute_url()))
    user = UserFactory()
    user.user_permissions.add(Permission.objects.get(codename=f"{act}_release"))
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    assert strict.post(url).status_code == 403
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get(url).status_code == 200
    assert not AuditEntry.objects.exists(), "looking does nothing"
    assert client.post(url).status_code == 302
    assert Build.objects.filter(pk=build.pk, status="failed").exists() == (act == "retry")


def test_admin_makes_an_earlier_release_the_latest_again(as_admin: Client) -> None:
    channel = ChannelFactory()
    first = ReleaseFactory(channel=channel, published=True)
    second = ReleaseFactory(channel=channel, published=True)
    page = first.get_absolute_url()
    assert "Make it the latest again" in offers(as_admin.get(page))
    assert "Make it the latest again" not in offers(as_admin.get(second.get_absolute_url()))
    url = f"/releases/{first.pk}/rollback"
    assert "stays published under its own name" in text_of(as_admin.get(url))
    as_admin.post(url, {"reason": "the new one is slow"})
    assert channel.heads.get().release == first
