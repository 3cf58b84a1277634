"""Workers: what waits for builds and what does not, and that a worker says it is there."""

from __future__ import annotations

from ipaddress import ip_network

from django.conf import LazySettings
from django.utils import timezone

from builds.models import Channel, Event, Release, Subscription, Worker
from builds.models.build import RUNNING
from builds.tests.builders.flakes import NETBOOT, SYSTEM
from builds.tests.fleet.fleet import QUICK, Fleet, below, kill_one
from builds.tests.notices.receiver import Receiver
from builds.tests.pipeline.conftest import MakeChannel, draft_of


def test_telling_planning_and_reconciling_do_not_wait_for_builds(
    fleet: Fleet, make_channel: MakeChannel, settings: LazySettings
) -> None:
    settings.WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    fleet.builder("worker", **QUICK)
    fleet.default(WEBHOOK_NETWORKS="127.0.0.0/8", **QUICK)
    fleet.beat()
    busy = draft_of(make_channel("busy", netboot=f"run sleep 600\n{NETBOOT}"))
    fleet.wait_until("build", busy.builds.running().exists)
    gone = draft_of(make_channel("gone"))
    fleet.wait_until("plan", lambda: Release.objects.get(pk=gone.pk).pinned_at)
    lost = gone.builds.get()
    assert lost.start("nobody:1")
    lost.write(RUNNING, lease_until=timezone.now())

    with Receiver.open() as receiver:
        subscription = Subscription.objects.create(name="hook", url=receiver.url)
        Event.objects.ping(subscription, at=timezone.now())
        fleet.deliver("notify")
        receiver.wait_for(1)
    fleet.wait_until("lost build", lambda: gone.builds.filter(status="lost").exists())

    assert busy.builds.running().exists(), "the one place that builds was busy all the time"
    assert gone.builds.queued().get().attempt == 2


def test_worker_whose_processes_are_replaced_is_still_there(
    fleet: Fleet, make_channel: MakeChannel
) -> None:
    main = fleet.builder("worker", "--max-tasks-per-child", "1", **QUICK)
    fleet.default(**QUICK)
    channel = make_channel("one")
    fleet.wait_until("worker", Worker.objects.filter(name__startswith="worker@").exists)
    row = Worker.objects.get(name__startswith="worker@")
    fleet.wait_until("process that builds", lambda: below(main.pid))
    [first] = below(main.pid)

    plan(fleet, channel)
    fleet.wait_until("release", Release.objects.published().exists)
    fleet.wait_until("other process", lambda: below(main.pid) not in ([], [first]))
    [second] = below(main.pid)
    kill_one(second)
    fleet.wait_until("third process", lambda: below(main.pid) not in ([], [second]))
    plan(fleet, make_channel("two"))
    fleet.wait_until("second release", lambda: Release.objects.published().count() == 2)

    seen_at = Worker.objects.get(pk=row.pk).seen_at
    fleet.wait_until("beat", lambda: Worker.objects.get(pk=row.pk).seen_at > seen_at)
    now = Worker.objects.get(pk=row.pk)
    assert now.is_alive(timezone.now())
    assert (now.started_at, now.queues) == (row.started_at, [f"build.{SYSTEM}"])


def plan(fleet: Fleet, channel: Channel) -> None:
    """Have a release of a channel made."""
    fleet.deliver("plan", draft_of(channel).pk)
