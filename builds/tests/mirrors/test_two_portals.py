"""Two portals, each with processes, database and files of its own: one follows the other."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from builds.choices import System, Variant
from builds.emulator.guest import Guest
from builds.emulator.machine import Firmware, Machine
from builds.models import Release
from builds.tests.boots.drafts import build_image, draft
from builds.tests.factories import publish_held
from builds.tests.mirrors.conftest import SYSTEM, Keys, Tree, copy_to
from builds.tests.webs import MakeWeb

INITRD = f"initrd-{SYSTEM}"
LATEST = f"/releases/download/demo/latest-{SYSTEM}.json"
LEASE = 3  # seconds


@dataclass(frozen=True)
class Second:
    """A portal without a channel: what its commands say, and how its processes run."""

    folder: Path

    @property
    def chosen(self) -> dict[str, str]:
        """Its settings."""
        return {
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": f"sqlite:///{self.folder}/portal.sqlite3",
            "LEASE_SECONDS": str(LEASE),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command of manage.py."""
        return subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), *words],
            env=os.environ | self.chosen,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def manage(self, *words: str) -> tuple[int, str]:
        """Its exit code and all that it said."""
        with self.start(*words) as process:
            said = process.communicate(timeout=120)[0]
        return process.returncode, said

    def part(self) -> int:
        """How much has come of what is being fetched."""
        return max((p.stat().st_size for p in (self.folder / "fetched").glob("*.part")), default=0)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    second = Second(tmp_path_factory.mktemp("migrated"))
    code, said = second.manage("migrate", "--verbosity", "0")
    assert code == 0, said
    return second.folder / "portal.sqlite3"


@pytest.fixture
def second(migrated: Path, tmp_path: Path) -> Iterator[Second]:
    folder = tmp_path / "second"
    folder.mkdir()
    shutil.copy(migrated, folder)
    yield Second(folder)
    shutil.rmtree(folder)


@pytest.fixture
def published(database_url: str, keys: Keys) -> Release:
    """The mini image's netboot, published by the first portal and signed."""
    images = {Variant.NETBOOT: build_image(System.X86_64, Variant.NETBOOT)}
    release = draft(System.X86_64, images)
    publish_held(release, timezone.now())
    assert release.is_published, release.reason
    keys.sign(release)
    return release


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def wait_until(what: str, holds: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.timeout(400)
def test_machine_boots_from_the_second_portal_while_the_first_is_away(
    published: Release, make_web: MakeWeb, second: Second, keys: Keys, tmp_path: Path
) -> None:
    first = make_web()
    (tmp_path / "signers").write_text(keys.allowed)
    pinned = ("--allowed-signers", str(tmp_path / "signers"))

    code, said = second.manage("follow", first.url, "--channel", "demo", *pinned)

    assert code == 0, said
    assert f"published: {published}, signed by {keys.who}" in said
    here = make_web(**second.chosen)
    latest = get(f"{first.url}{LATEST}")
    os.kill(first.pid, signal.SIGTERM)
    wait_until("the first is away", lambda: not answers(first.url))
    assert get(f"{here.url}{LATEST}") == latest
    code, said = second.manage("follow", first.url)
    assert code != 0
    assert "Connection refused" in said
    status = get(f"{here.url}/status/").decode()
    assert f"releases from {first.url}" in status
    assert "last read well" in status

    port = here.url.rpartition(":")[2]
    script = f"http://10.0.2.2:{port}/releases/download/demo/netboot-{SYSTEM}.ipxe"
    machine = Machine(system=System.X86_64, firmware=Firmware.BIOS, bootfile=script, isolated=False)
    with Guest(machine, log=tmp_path / "console") as guest:
        guest.wait_for(re.escape(f"mini image is up: {SYSTEM} {published.version}"), timeout=180)


def answers(url: str) -> bool:
    try:
        get(f"{url}/healthz")
    except (urllib.error.URLError, OSError):
        return False
    return True


@pytest.mark.timeout(200)
def test_follower_that_is_killed_goes_on_where_it_was(
    published: Release, tree: Tree, second: Second
) -> None:
    copy_to(tree)
    half = tree.path(published.key(INITRD)).stat().st_size // 2

    def stall(handler: BaseHTTPRequestHandler, path: Path) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(path.stat().st_size))
        handler.end_headers()
        handler.wfile.write(path.read_bytes()[:half])
        handler.wfile.flush()
        time.sleep(60)

    tree.broken[f"{INITRD}$"] = stall
    follower = second.start("follow", tree.url, "--channel", "demo", "--once")
    wait_until("half of it", lambda: second.part() > half - 2**19, 120)
    follower.kill()
    follower.communicate()
    come = second.part()
    tree.broken.clear()
    tree.asked.clear()
    time.sleep(LEASE + 1)

    code, said = second.manage("follow", tree.url, "--channel", "demo", "--once")

    assert code == 0, said
    assert f"published: {published}" in said
    assert tree.fetched(INITRD) == [f"bytes={come}-"]
    assert second.part() == 0
