"""Cancelling and retrying on a running portal, as an admin does it from the pages."""

from __future__ import annotations

import http.cookiejar
import re
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import pytest

from builds.tests.builders.flakes import SYSTEM, Flake
from builds.tests.processes import processes_with
from builds.tests.whole_way.conftest import Portal

CANCELLED_WITHIN = 10.0
CATALOGUE = """
[channels.deaf]
title = "An image whose builder program listens to nobody"
flake = "path:{flake}"
attribute = "packages.{{system}}.{{variant}}"
systems = ["{system}"]
variants = ["netboot"]
checks = []
marker = "it is up"
slot = "Monday 01:00"
"""


class Admin:
    """The admin's browser: cookies, and the token of the last page in each form."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._jar = http.cookiejar.CookieJar()
        handler = urllib.request.HTTPCookieProcessor(self._jar)
        self._opener = urllib.request.build_opener(handler)
        [password] = re.findall(r"as admin with the password (\S+)", portal.log.read_text())
        self.get("/accounts/login/")
        self.post("/accounts/login/", login="admin", password=password, next="/")

    def get(self, path: str) -> str:
        """A page as the admin sees it."""
        with self._opener.open(self._portal.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **form: str) -> str:
        """Press a button."""
        [token] = [str(cookie.value) for cookie in self._jar if cookie.name == "csrftoken"]
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **form}).encode()
        with self._opener.open(self._portal.url + path, data, timeout=30) as answer:
            return str(answer.read().decode())


@pytest.mark.timeout(400)
def test_deaf_build_is_cancelled_within_ten_seconds_and_can_be_retried(
    portal: Portal, tmp_path: Path
) -> None:
    mark = f"300.{uuid.uuid4().int % 10**12:012}"
    deaf = f"trap '' TERM INT HUP; echo running; while :; do run sleep {mark}; done"
    flake = Flake(tmp_path / "deaf", {"netboot": deaf}, versions={"netboot": "12.deaf"}).write()
    (tmp_path / "catalogue.toml").write_text(CATALOGUE.format(flake=flake.folder, system=SYSTEM))
    portal.wait(
        "answer", 240, lambda: portal.log.exists() and "running at" in portal.log.read_text()
    )
    portal.manage("loadcatalog", str(tmp_path / "catalogue.toml"))
    admin = Admin(portal)
    said = portal.manage("trigger", "deaf")
    [path] = [word for word in said.split() if "drafts/" in word]
    portal.wait("deaf builder program", 240, lambda: processes_with(mark))
    build = max(re.findall(r"/builds/\d+/", admin.get(path)), key=len)
    assert "Cancel this build" in admin.get(build)

    asked = time.monotonic()
    page = admin.post(f"{build}cancel")
    portal.wait("end of its processes", 30, lambda: not processes_with(mark))
    portal.wait("cancelled build", 30, lambda: "Cancelled by an admin" in portal.get(build))
    took = time.monotonic() - asked

    assert "is cancelled" in page
    assert took < CANCELLED_WITHIN
    print(f"cancelled in {took:.1f} s")  # noqa: T201 - shown by pytest -rP
    assert processes_with(mark) == []
    release = portal.get(path)
    assert "Cancelled by an admin" in release
    assert "in the making" not in release
    stored = portal.data_dir / "storage" / "releases" / "download" / "deaf"
    assert [file.name for file in stored.rglob("*") if file.is_file()] == [
        f"build-netboot-{SYSTEM}.1.log.gz"
    ]

    # The same source is built again within the same release, which is why it still hangs.
    assert "is tried again" in admin.post(f"{build}retry")
    portal.wait("second attempt", 100, lambda: processes_with(mark))
    second = max(map(int, re.findall(r"/builds/(\d+)/", admin.get(path))))
    admin.post(f"/builds/{second}/cancel")
    portal.wait("end of its processes", 30, lambda: not processes_with(mark))


def test_status_page_of_a_running_portal_names_its_worker_and_its_tick(portal: Portal) -> None:
    def told() -> str | None:
        page = portal.get("/status/")
        return page if "ticked" in page and "no worker" not in page else None

    page = portal.wait("worker on the status page", 200, told)
    assert "build.aarch64-linux" in page
    assert "nix (Nix)" in portal.wait(
        "version of Nix", 60, lambda: (p := portal.get("/status/")) * ("nix (Nix)" in p)
    )
    assert page.count("served") >= 4
