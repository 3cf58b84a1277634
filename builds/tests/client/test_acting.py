"""Triggering and waiting, against a real portal."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from builds.models import Build, Release
from builds.tests.client.conftest import Command, MakeRelease
from builds.tests.factories import BuildFactory, ChannelFactory, write_log
from builds.tests.tokens.conftest import new_token
from builds.tests.webs import MakeWeb

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = "x86_64-linux"


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=40)
    return process.returncode, out, err


def test_trigger_wants_a_token_and_says_whose_fault_it_is(
    client: Command, make_web: MakeWeb
) -> None:
    ChannelFactory(name="demo")
    web = make_web()
    assert client(web.url, "trigger", "demo").code == 2
    done = client(web.url, "trigger", "demo", NIXOS_IMAGES_TOKEN="wrong")
    assert (done.code, done.err.count("\n")) == (6, 1)
    open_to_all = client.home / "token"
    open_to_all.write_text("x")
    open_to_all.chmod(0o644)
    assert "chmod 600" in client(web.url, "trigger", "demo", "--token-file", open_to_all).err


def test_triggered_release_is_waited_for(
    client: Command, make_web: MakeWeb, redis_url: str
) -> None:
    ChannelFactory(name="demo")
    file = client.home / "token"
    file.write_text(new_token()[1])
    file.chmod(0o600)
    web = make_web(REDIS_URL=redis_url)
    words = ("trigger", "demo", "--system", SYSTEM, "--force", "--token-file", file)
    waiting = client.start(web.url, *words, "--wait")
    until(Release.objects.exists)
    release = Release.objects.get()
    assert (release.system, release.trigger, release.forced) == (SYSTEM, "api", True)
    assert len(release.request) == 32, "the request that asked for it is known"
    release.fail("netboot failed: No space.", "", at=timezone.now())
    code, _, err = finish(waiting)
    assert code == 7
    assert "failed: netboot failed: No space." in err
    done = client(web.url, *words, "--json")
    assert done.code == 0, done.err
    assert Release.objects.drafts().count() == 1
    assert file.read_text() not in done.out + done.err


def test_watch_prints_the_next_release(
    client: Command, publish: MakeRelease, make_web: MakeWeb
) -> None:
    first = publish(at=timezone.now() - timedelta(days=7))
    web = make_web()
    words = ("watch", "demo", "--system", SYSTEM, "--interval", "1")
    assert client(web.url, *words, "--timeout", "2").code == 8
    waiting = client.start(web.url, *words)
    time.sleep(1.5)
    assert waiting.poll() is None
    second = publish(channel=first.channel)
    code, out, err = finish(waiting)
    assert (code, out) == (0, f"demo {second.version} {SYSTEM}, release {second.sequence}\n"), err
    at_once = client(web.url, *words, "--after", first.sequence)
    assert at_once.code == 0


def test_log_goes_on_where_a_connection_broke(
    client: Command, make_web: MakeWeb, tmp_path: Path
) -> None:
    build = BuildFactory(running=True)
    write_log(build, [f"line {n}" for n in range(1, 51)], per_chunk=10)
    web = make_web()
    watching = client.start(web.url, "watch", "--build", build.pk)
    assert watching.stdout is not None
    first = [watching.stdout.readline() for _ in range(50)]
    os.kill(web.pid, signal.SIGKILL)
    make_web(port=urlsplit(web.url).port)
    write_log(build, ["\x1b[31mline 51\x1b[0m", "line 52"], per_chunk=1)
    Build.objects.get(pk=build.pk).fail("It broke.", kind="x", excerpt="", may_retry=False)
    code, rest, err = finish(watching)
    assert code == 7, err
    assert "connects again" in err
    lines = "".join([*first, rest]).splitlines()
    assert lines == [f"line {n}" for n in range(1, 53)]
    assert f"build {build.pk} failed" in err


def test_build_that_is_not_there(client: Command, make_web: MakeWeb) -> None:
    assert client(make_web().url, "watch", "--build", "4711").code == 3
