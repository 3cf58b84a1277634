"""What `/metrics` tells, to whom, and at what cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from builds import pipeline
from builds.choices import EventKind, System, Verdict
from builds.metrics import collectors
from builds.models import (
    Build,
    Check,
    CountedBatch,
    Damage,
    Delivery,
    Event,
    Subscription,
    Totals,
    Worker,
)
from builds.tally import Count
from builds.tests.factories import BuildFactory, ChannelFactory, CheckFactory, ReleaseFactory
from builds.tests.observed.reading import Numbers
from builds.web import kept

pytestmark = pytest.mark.django_db

MOST_QUERIES = 14
DAY = 86400.0


def numbers(client: Client) -> Numbers:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return Numbers.of(answer.content.decode())


def count_all() -> None:
    """As the tick does, of everything that has ended by now."""
    pipeline.count_ended(at=timezone.now() + timedelta(minutes=2))


def test_ages_of_heads_and_what_is_stale(client: Client) -> None:
    now = timezone.now()
    long_ago = now - timedelta(days=60)
    fresh = ChannelFactory(name="fresh")
    late = ChannelFactory(name="late")
    type(late).objects.update(created_at=long_ago)
    ReleaseFactory(channel=fresh, published=True, at=now - timedelta(days=3))
    ReleaseFactory(channel=late, published=True, at=now - timedelta(days=20))
    told = numbers(client)
    x86 = System.X86_64.value
    assert told.one("portal_head_age_seconds", channel="fresh", system=x86) == pytest.approx(
        3 * DAY, abs=60
    )
    assert told.one("portal_stale", channel="fresh", system=x86) == 0
    assert told.one("portal_stale", channel="late", system=x86) == 1
    assert told.one("portal_published", channel="late", system="aarch64-linux") == 0
    assert told.one("portal_stale", channel="late", system="aarch64-linux") == 1
    assert 0 < told.one("portal_next_slot_seconds", channel="fresh") <= 7 * DAY


def test_channel_at_its_end_is_never_stale(client: Client) -> None:
    old = ChannelFactory(name="old", end_of_life="2020-06-30")
    type(old).objects.update(created_at=timezone.now() - timedelta(days=900))
    assert numbers(client).sum("portal_stale", channel="old") == 0
    assert "portal_next_slot_seconds{" not in client.get("/metrics").content.decode()


def test_queues_say_what_waits_and_who_serves_them(client: Client) -> None:
    now = timezone.now()
    release = ReleaseFactory(pinned=True, queue=False)
    waiting = BuildFactory(release=release, variant="netboot")
    Build.objects.filter(pk=waiting.pk).update(queued_at=now - timedelta(minutes=10))
    BuildFactory(release=release, variant="iso", running=True)
    ReleaseFactory()
    Worker.objects.arrive("worker@a", ["build.x86_64-linux", "check"], 2, at=now)
    told = numbers(client)
    queue = System.X86_64.queue
    assert told.one("portal_queue_waiting", queue=queue) == 1
    assert told.one("portal_queue_running", queue=queue) == 1
    assert told.one("portal_queue_oldest_wait_seconds", queue=queue) == pytest.approx(600, abs=30)
    assert told.one("portal_queue_workers", queue=queue) == 1
    assert told.one("portal_queue_capacity", queue="check") == 2
    assert told.one("portal_queue_workers", queue="default") == 0
    assert told.one("portal_queue_waiting", queue="default") == 1


def test_checks_wait_only_once_their_release_is_built(client: Client) -> None:
    release = ReleaseFactory(pinned=True)
    assert release.checks.exists()
    assert numbers(client).one("portal_queue_waiting", queue="check") == 0
    release.builds.update(status="succeeded", finished_at=timezone.now())
    _forget()
    assert numbers(client).one("portal_queue_waiting", queue="check") == release.checks.count()


def test_abandoned_builds_are_seen(client: Client) -> None:
    build = BuildFactory(running=True)
    assert numbers(client).sum("portal_leases_expired") == 0
    Build.objects.filter(pk=build.pk).update(lease_until=timezone.now() - timedelta(minutes=2))
    _forget()
    queue = System(build.release.system).queue
    assert numbers(client).one("portal_leases_expired", queue=queue) == 1


def test_what_has_ended_is_counted_once(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", published=True)
    BuildFactory(release__channel=release.channel, release__system="aarch64-linux", failed=True)
    CheckFactory(release=release, passed=True, finished_at=timezone.now())
    count_all()
    count_all()
    told = numbers(client)
    assert told.sum("portal_releases_total", channel="demo", status="published") == 1
    never = {"system": "x86_64-linux", "status": "failed"}
    assert told.one("portal_releases_total", channel="demo", **never) == 0
    succeeded = release.builds.count()
    assert told.sum("portal_builds_total", channel="demo", status="succeeded") == succeeded
    assert told.sum("portal_builds_total", channel="demo", status="failed") == 1
    assert told.sum("portal_checks_total", channel="demo", verdict="passed") == 1
    assert told.one("portal_check_seconds_bucket", verdict="passed", le="10") == 1
    assert told.sum("portal_build_seconds_count", status="succeeded") == succeeded


def test_counts_never_go_down(client: Client) -> None:
    check = CheckFactory(failed=True, finished_at=timezone.now())
    count_all()
    first = numbers(client).sum("portal_checks_total")
    assert first == 1
    Check.objects.filter(pk=check.pk).reset()
    count_all()
    assert numbers(client).sum("portal_checks_total") == first
    Build.objects.all().delete()
    assert numbers(client).sum("portal_checks_total") == first
    after = timezone.now() + timedelta(minutes=3)
    Check.objects.filter(pk=check.pk).update(verdict=Verdict.PASSED, finished_at=after)
    pipeline.count_ended(at=after + timedelta(minutes=2))
    assert numbers(client).sum("portal_checks_total") == first + 1


def test_lost_builds_and_further_attempts_are_counted(client: Client) -> None:
    lost = BuildFactory(variant="netboot", lost=True)
    BuildFactory(release=lost.release, variant="netboot", attempt=2, failed=True)
    count_all()
    told = numbers(client)
    assert told.sum("portal_leases_lost_total") == 1
    assert told.sum("portal_build_retries_total") == 1


def test_histogram_of_builds_is_cumulative(client: Client) -> None:
    now = timezone.now()
    for minutes in (1, 8, 50):
        build = BuildFactory(succeeded=True, variant="iso")
        Build.objects.filter(pk=build.pk).update(
            started_at=now - timedelta(minutes=minutes), finished_at=now
        )
    count_all()
    told = numbers(client)
    which = {"system": "x86_64-linux", "variant": "iso", "status": "succeeded"}
    bucket = "portal_build_seconds_bucket"
    assert told.one(bucket, le="30", **which) == 0
    assert told.one(bucket, le="60", **which) == 1
    assert told.one(bucket, le="600", **which) == 2
    assert told.one(bucket, le="+Inf", **which) == 3
    assert told.one("portal_build_seconds_sum", **which) == pytest.approx(59 * 60, abs=5)


def test_downloads_are_counted_by_channel_and_role(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", published=True)
    artifact = release.artifacts.get(role="initrd")
    today = timezone.now().date()
    batch = {(artifact.pk, today): Count(3, 3000), (10**9, today): Count(5, 50)}
    assert CountedBatch.objects.store("a", batch, at=timezone.now())
    assert not CountedBatch.objects.store("a", batch, at=timezone.now())
    told = numbers(client)
    assert told.one("portal_downloads_total", channel="demo", role="initrd") == 3
    assert told.sum("portal_download_bytes_total") == 3000


def test_undelivered_notices_and_damage_are_seen(client: Client) -> None:
    release = ReleaseFactory(published=True)
    now = timezone.now()
    hook = Subscription.objects.create(
        name="hook", url="https://example.org/hook", kinds=[EventKind.DAMAGED]
    )
    Damage.objects.note(release, "initrd-x86_64-linux", "It has other bytes.", at=now)
    assert Event.objects.filter(kind=EventKind.DAMAGED).exists()
    assert Delivery.objects.filter(subscription=hook).exists()
    told = numbers(client)
    assert told.one("portal_notices_waiting", means="webhook") == 1
    assert told.one("portal_notices_waiting", means="mail") == 0
    assert told.one("portal_damaged_files") == 1


def test_storage_and_disks_are_told(client: Client) -> None:
    release = ReleaseFactory(published=True)
    told = numbers(client)
    files = release.artifacts.all()
    assert told.one("portal_storage_artifacts") == files.count()
    assert told.one("portal_storage_bytes") == sum(file.size for file in files)
    assert told.one("portal_disk_free_bytes", place="data") > 0
    assert told.one("process_resident_memory_bytes") > 10**7


def test_queries_are_as_many_with_many_rows(client: Client) -> None:
    ReleaseFactory(published=True)
    _forget()
    with CaptureQueriesContext(connection) as few:
        numbers(client)
    for _ in range(6):
        ReleaseFactory(published=True)
        BuildFactory(failed=True)
    count_all()
    _forget()
    with CaptureQueriesContext(connection) as many:
        numbers(client)
    assert len(many) == len(few) <= MOST_QUERIES
    with CaptureQueriesContext(connection) as again:
        numbers(client)
    assert len(again) < 5, "the rows are kept for 15 s"


def test_open_metrics_where_it_is_asked_for(client: Client) -> None:
    ReleaseFactory(published=True)
    count_all()
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    families = {family.name for family in text_string_to_metric_families(answer.content.decode())}
    assert {"portal_builds", "portal_head_age_seconds", "portal_build_seconds"} <= families


def test_routes_and_not_paths_are_labels(client: Client) -> None:
    for name in ("one", "two", "three"):
        client.get(f"/releases/download/nowhere/{name}")
        client.get(f"/{name}/that/is/nowhere")
    client.generic("BREW", "/")
    told = numbers(client)
    assert told.one("portal_http_requests_total", route="channel-file", status="404") >= 3
    assert told.sum("portal_http_requests_total", route="none", status="404") >= 3
    assert told.sum("portal_http_requests_total", method="other") >= 1
    assert not any("nowhere" in str(sample.labels) for sample in told.samples)


FAR, NEAR = "203.0.113.9", "10.0.0.7"


@pytest.mark.parametrize(
    ("address", "forwarded", "proxies"),
    [
        ("127.0.0.1", "", 0),
        (NEAR, "", 0),
        ("::ffff:192.168.0.9", "", 0),
        ("127.0.0.1", NEAR, 1),
    ],
)
def test_numbers_are_for_near_networks(
    settings: LazySettings, address: str, forwarded: str, proxies: int
) -> None:
    assert _status(settings, address, forwarded, proxies) == 200


@pytest.mark.parametrize(
    ("address", "forwarded", "proxies"),
    [
        (FAR, "", 0),
        # A front server on this machine that nobody has told of: everybody would be near.
        ("127.0.0.1", FAR, 0),
        ("127.0.0.1", "127.0.0.1", 0),
        ("127.0.0.1", FAR, 1),
        # What a client says of itself stands before what the front server has appended.
        ("127.0.0.1", f"{NEAR}, {FAR}", 1),
        ("127.0.0.1", "nonsense", 1),
    ],
)
def test_numbers_are_for_nobody_else(
    settings: LazySettings, address: str, forwarded: str, proxies: int
) -> None:
    assert _status(settings, address, forwarded, proxies) == 403


def _status(settings: LazySettings, address: str, forwarded: str, proxies: int) -> int:
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    answer = Client().get("/metrics", headers=headers, REMOTE_ADDR=address)
    is_told_why = "docs/observability.md" in answer.content.decode()
    assert is_told_why == (answer.status_code == 403)
    return answer.status_code


def test_token_opens_the_numbers_and_nothing_else_does(
    client: Client, settings: LazySettings
) -> None:
    settings.METRICS_TOKEN = "a-token-of-some-length"
    assert client.get("/metrics").status_code == 403
    for given in ("Bearer wrong", "Basic a-token-of-some-length", "a-token-of-some-length"):
        assert client.get("/metrics", headers={"Authorization": given}).status_code == 403
    right = {"Authorization": "Bearer a-token-of-some-length"}
    answer = client.get("/metrics", headers=right, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"


def test_totals_are_there_before_anything_was_counted(client: Client) -> None:
    assert not Totals.objects.exists()
    assert numbers(client).one("portal_metrics_read", part="totals") == 1


def _forget() -> None:
    for part in collectors.PARTS.values():
        part.forget()
    kept.forget()
