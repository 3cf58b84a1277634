"""The bounds that are promised, with the settings that everybody has: 60 s leases, 15 s ticks."""

from __future__ import annotations

import time

import pytest
from redis import Redis as Client

from builds.choices import BuildStatus
from builds.models import Build, Channel
from builds.models.build_queries import BuildQuerySet
from builds.tests.builders.flakes import NETBOOT
from builds.tests.fleet.fleet import Fleet
from builds.tests.pipeline.conftest import TARBALL, MakeChannel, draft_of
from builds.tests.processes import processes_with

DEAD_WORKER = 90.0  # seconds until its build runs again
FLUSHED_REDIS = 60.0  # seconds until what waited goes on
SHORT = "run sleep 2"


@pytest.mark.timeout(400)
def test_killed_worker_and_twice_lost_redis_hold_nothing_up_for_longer_than_promised(
    fleet: Fleet, make_channel: MakeChannel
) -> None:
    long = make_channel("long", netboot=f"run sleep 987654\n{NETBOOT}")
    short = [
        make_channel(name, netboot=f"{SHORT}\n{NETBOOT}", kexec_installer=f"{SHORT}\n{TARBALL}")
        for name in ("first", "second", "third")
    ]
    fleet.beat()
    fleet.default()
    victim = fleet.builder("one")
    draft_of(long)
    fleet.wait_until("builder program", lambda: processes_with("987654"))
    for channel in short:
        draft_of(channel)
    fleet.wait_until("messages", lambda: of(short).exclude(sent_at=None).count() == 6)
    fleet.builder("two")
    fleet.wait_until("short build", of(short).running().exists)

    killed_at = time.monotonic()
    fleet.kill(victim)
    with Client(unix_socket_path=str(fleet.redis.socket)) as client:
        client.flushall()
    first = wait_for_next(fleet, short)
    fleet.redis.lose(seconds=2)
    second = wait_for_next(fleet, short)
    fleet.wait_until("short releases", lambda: of(short).succeeded().count() == 6)
    fleet.wait_until("lost build", lambda: of([long]).running().filter(attempt=2).exists())
    again = time.monotonic() - killed_at

    assert max(first, second) < FLUSHED_REDIS
    assert again < DEAD_WORKER, f"{first:.0f} s, {second:.0f} s, {again:.0f} s"
    lost = of([long]).get(attempt=1)
    assert (lost.status, lost.error_kind) == (BuildStatus.LOST, "lost")


def of(channels: list[Channel]) -> BuildQuerySet:
    """The builds of these channels."""
    return Build.objects.filter(release__channel__in=channels)


def wait_for_next(fleet: Fleet, channels: list[Channel]) -> float:
    """Wait until one more build begins; after how many seconds it did."""
    begun = of(channels).exclude(started_at=None)
    before = begun.count()
    return fleet.wait_until("next build", lambda: begun.count() > before, within=FLUSHED_REDIS)
