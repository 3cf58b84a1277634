"""Workers: what waits for builds and what does not, and that a worker says it is there."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from subprocess import Popen

from django.conf import LazySettings
from django.utils import timezone

from builds.choices import BuildStatus
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
    fleet.wait_until("next attempt", gone.builds.queued().filter(attempt=2).exists)

    assert gone.builds.get(attempt=1).status == BuildStatus.LOST
    assert busy.builds.running().exists(), "the one place that builds was busy all the time"


def test_worker_whose_processes_are_replaced_is_still_there(
    fleet: Fleet, make_channel: MakeChannel
) -> None:
    main = fleet.builder("worker", "--max-tasks-per-child", "1", **QUICK)
    fleet.default(**QUICK)
    channel = make_channel("one")
    fleet.wait_until("worker", Worker.objects.filter(name__startswith="worker@").exists)
    row = Worker.objects.get(name__startswith="worker@")
    first = next_process(fleet, main)
    plan(fleet, channel)
    fleet.wait_until("release", Release.objects.published().exists)
    second = next_process(fleet, main, first)
    kill_one(second)
    next_process(fleet, main, second)
    plan(fleet, make_channel("two"))
    fleet.wait_until("second release", lambda: Release.objects.published().count() == 2)

    seen_at = Worker.objects.get(pk=row.pk).seen_at
    fleet.wait_until("beat", lambda: Worker.objects.get(pk=row.pk).seen_at > seen_at)
    now = Worker.objects.get(pk=row.pk)
    assert now.is_alive(timezone.now())
    assert (now.started_at, now.queues) == (row.started_at, [f"build.{SYSTEM}"])


def next_process(fleet: Fleet, main: Popen[str], before: int = 0) -> int:
    """The one process below a worker's main one that builds, once it is another than before."""

    def pool() -> list[int]:
        return [pid for pid in below(main.pid) if b"celery" in command(pid) and pid != before]

    fleet.wait_until("process", lambda: len(pool()) == 1)
    return pool()[0]


def command(pid: int) -> bytes:
    """What a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def plan(fleet: Fleet, channel: Channel) -> None:
    """Have a release of a channel made."""
    fleet.deliver("plan", draft_of(channel).pk)
