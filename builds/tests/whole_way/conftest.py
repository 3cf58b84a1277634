"""A real portal for the whole session: `make run` in a data folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.conf import settings

from builds.tests.ports import free_port

Found = TypeVar("Found")
FIRST_RELEASES = 600.0  # seconds; two systems built and booted in five ways, on two slow cores
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first waits for the first releases too."""
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


@dataclass(frozen=True)
class Portal:
    """A running portal, as those outside see it."""

    port: int
    data_dir: Path
    log: Path

    @property
    def url(self) -> str:
        """Its address from this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url_for_guests(self) -> str:
        """Its address from a QEMU guest."""
        return f"http://10.0.2.2:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What its processes run with."""
        return os.environ | {
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "SKIP_SYSTEM": "1",
            "NIX_OFFLINE": "1",
            "BOOT_TIME_LIMIT": "120",
            "CHECK_LATER": "false",  # the boot matrix has them, and here others need the cores
        }

    def get(self, path: str) -> str:
        """The text at a path; the page of an error is a text as well."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def latest(self, channel: str, system: str) -> dict[str, Any] | None:
        """The latest record, None while there is no release."""
        record = json.loads(self.get(f"/api/v1/latest/{channel}/{system}/"))
        return record if "version" in record else None

    def manage(self, *arguments: str) -> str:
        """What a command of manage.py prints."""
        done = subprocess.run(
            [sys.executable, settings.BASE_DIR / "manage.py", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait(self, what: str, seconds: float, look: Callable[[], Found | None]) -> Found:
        """Look until there is something to see."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.5)
        raise AssertionError(f"no {what} within {seconds:g} s; the portal's log ends:\n{self.tail}")

    @property
    def tail(self) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """`make run`, with both first releases published; stopped by Ctrl-C at the end."""
    folder = tmp_path_factory.mktemp("portal")
    portal = Portal(port=free_port(), data_dir=folder / "data", log=folder / "log")
    with portal.log.open("wb") as log:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=settings.BASE_DIR,
            env=portal.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield portal
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
        shutil.rmtree(portal.data_dir, ignore_errors=True)
    assert "Traceback" not in portal.log.read_text(errors="replace"), portal.tail


@pytest.fixture(scope="session")
def demo(portal: Portal) -> dict[str, dict[str, Any]]:
    """The latest records of the first releases, by system."""
    systems = ("x86_64-linux", "aarch64-linux")

    def both() -> dict[str, dict[str, Any]] | None:
        try:
            records = {system: portal.latest("demo", system) for system in systems}
        except (urllib.error.URLError, json.JSONDecodeError, ConnectionError):
            return None
        found = {system: record for system, record in records.items() if record is not None}
        return found if len(found) == len(systems) else None

    return portal.wait("published demo on both systems", FIRST_RELEASES, both)
