"""Many who ask at once get one release: schedulers, clicks, commands, doubled messages."""

from __future__ import annotations

import subprocess
import threading
import urllib.request
from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from builds.choices import ReleaseStatus
from builds.models import Build, Channel, Release
from builds.tests.builders.flakes import NETBOOT
from builds.tests.factories import UserFactory
from builds.tests.fleet.fleet import Fleet
from builds.tests.pipeline.conftest import MakeChannel
from builds.tests.webs import MakeWeb

CLICKS, DELIVERIES, COMMANDS = 32, 16, 2
TOKEN = "a" * 32


def test_two_schedulers_four_workers_and_fifty_triggers_make_one_release(
    fleet: Fleet, make_channel: MakeChannel, make_web: MakeWeb
) -> None:
    channel = make_channel("busy", netboot=f"run sleep 20\n{NETBOOT}")
    due(channel)
    # Beside the minutely tick: both schedulers ask every second.
    every = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="impatient", task="schedule", interval=every)
    for name in ("one", "two", "three", "four"):
        fleet.worker(name, "--concurrency", "2", "--queues", "default,build.x86_64-linux,check")
    web = make_web(workers=2, threads=16, **fleet.settings)
    commands = [fleet.command("trigger", channel.name) for _ in range(COMMANDS)]
    for command in commands:
        assert command.stdout is not None
        command.stdout.readline()
    cookies = signed_in()

    at_once(
        *[lambda: click(f"{web.url}/channels/{channel.name}/trigger", cookies)] * CLICKS,
        *[lambda: fleet.deliver("schedule")] * DELIVERIES,
        *[lambda each=each: tell(each) for each in commands],
    )
    fleet.beat()
    fleet.beat()
    fleet.wait_until("build", Build.objects.running().exists)
    [release], [build] = Release.objects.all(), Build.objects.all()
    at_once(*[lambda: fleet.deliver("plan", release.pk)] * 10)
    queue = "build.x86_64-linux"
    at_once(*[lambda: fleet.deliver("build", build.pk, queue=queue)] * 10)

    fleet.wait_until("release", Release.objects.published().exists, within=120)
    at_once(*[lambda: fleet.deliver("publish", release.pk)] * 10)
    ticks = PeriodicTask.objects.filter(name="impatient")
    before = ticks.get().total_run_count
    fleet.wait_until("more ticks", lambda: ticks.get().total_run_count > before + 2)

    [release], [build] = Release.objects.all(), Build.objects.all()
    assert release.status == ReleaseStatus.PUBLISHED
    assert (release.sequence, build.attempt, build.fence) == (1, 1, 1)
    assert release.slot_at == channel.slot_at_or_before(timezone.now()), "the clicks fill the slot"


def due(channel: Channel) -> None:
    """Let its slot have come a minute ago."""
    slot = timezone.now() - timedelta(minutes=1)
    channel.slot_weekday, channel.slot_time = slot.weekday(), slot.time().replace(microsecond=0)
    channel.created_at = slot - timedelta(days=8)
    channel.save()


def at_once(*acts: Callable[[], object]) -> None:
    """Do all of it in threads that begin at the same time; raises what any of them raised."""
    gate = threading.Barrier(len(acts))
    wrong: list[BaseException] = []

    def play(act: Callable[[], object]) -> None:
        gate.wait()
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test fails of it
            wrong.append(error)

    threads = [threading.Thread(target=play, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


def signed_in() -> str:
    """The cookies of an admin."""
    client = Client()
    client.force_login(UserFactory(admin=True))
    return f"sessionid={client.cookies['sessionid'].value}; csrftoken={TOKEN}"


def click(url: str, cookies: str) -> None:
    """Press the button of the page."""
    headers = {"Cookie": cookies, "X-CSRFToken": TOKEN}
    request = urllib.request.Request(url, data=b"", headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def tell(command: subprocess.Popen[str]) -> None:
    """Let a command that waits go on, to its end."""
    command.communicate("go\n", timeout=120)
    assert command.returncode == 0
