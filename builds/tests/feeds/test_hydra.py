"""Hydra's addresses of the latest build."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from django.test import Client

from builds.models import Build
from builds.pipeline import roll_back
from builds.tests.factories import NOW, BuildFactory
from builds.tests.feeds.conftest import Weeks
from builds.tests.webs import MakeWeb

JOB = "/job/demo/netboot.x86_64-linux"
SYSTEM = "x86_64-linux"


def place(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 302, response.content
    return response["Location"].removeprefix("http://testserver")


@pytest.mark.parametrize(
    ("rest", "name"),
    [
        ("latest/download-by-type/file/initrd", "initrd-x86_64-linux"),
        ("latest/download-by-type/file/bzImage", "bzImage-x86_64-linux"),
        ("latest/download-by-type/file/kernel", "bzImage-x86_64-linux"),
        ("latest-finished/download-by-type/file/ipxe", "netboot-x86_64-linux.ipxe"),
        ("latest/download", "bzImage-x86_64-linux"),
        ("latest/download/1", "bzImage-x86_64-linux"),
        ("latest/download/2/whatever", "initrd-x86_64-linux"),
    ],
)
def test_latest_leads_to_a_file_of_one_release(
    client: Client, weeks: Weeks, rest: str, name: str
) -> None:
    wanted = f"/releases/download/demo/2.0/{name}"
    assert place(client, f"{JOB}/{rest}") == wanted
    with_project = JOB.replace("/job/", "/job/nixos-images/")
    assert place(client, f"{with_project}/{rest}") == wanted


def test_latest_is_what_the_channel_offers_not_what_was_built_last(
    client: Client, weeks: Weeks
) -> None:
    roll_back(weeks.old, "The newer one hangs.", by=None, at=NOW)
    assert "/demo/1.0/" in place(client, f"{JOB}/latest/download/1")


def test_latest_is_a_page_for_people_and_a_record_for_programs(
    client: Client, weeks: Weeks
) -> None:
    build = weeks.new.builds.get(variant="netboot")
    assert place(client, f"{JOB}/latest") == build.get_absolute_url()
    response = client.get(f"{JOB}/latest", headers={"Accept": "application/json"})
    record = response.json()
    initrd = weeks.artifact("initrd-x86_64-linux")
    assert record["buildproducts"]["2"] | {"path": ""} == {
        "type": "file",
        "subtype": "initrd",
        "name": initrd.name,
        "path": "",
        "defaultpath": "",
        "filesize": initrd.size,
        "sha256hash": initrd.sha256,
    }
    assert (record["id"], record["job"]) == (build.pk, "netboot.x86_64-linux")
    assert (record["project"], record["jobset"]) == ("nixos-images", "demo")
    assert (record["finished"], record["buildstatus"]) == (1, 0)


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/job/nowhere/netboot.x86_64-linux/latest", "Channels: demo, nixos-26.05."),
        ("/job/demo/tarball.x86_64-linux/latest", "netboot.x86_64-linux"),
        ("/job/demo/netboot/latest/download/1", "netboot.aarch64-linux"),
        (f"{JOB}/latest/download-by-type/file/iso", "Products: file/kernel, file/initrd"),
        (f"{JOB}/latest/download-by-type/doc/kernel", "Products: file/kernel, file/initrd"),
        (f"{JOB}/latest/download/9", "1 bzImage-x86_64-linux, 2 initrd-x86_64-linux"),
        ("/job/other/demo/netboot.x86_64-linux/latest/download/1", "Ask as /job/"),
    ],
)
def test_what_is_not_there_says_what_is(
    client: Client, weeks: Weeks, path: str, known: str
) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert known in response.content.decode()


def test_latest_builds_are_told_newest_first_and_filtered(client: Client, weeks: Weeks) -> None:
    failed: Build = BuildFactory(failed=True, release=weeks.new, variant="kexec-bundle")
    BuildFactory(running=True, release=weeks.new, variant="iso", attempt=2)
    found = client.get("/api/latestbuilds?nr=2").json()
    assert found[0]["id"] == failed.pk
    assert (len(found), found[0]["buildstatus"]) == (2, 1)
    narrow = client.get(
        "/api/latestbuilds?nr=9&project=nixos-images&jobset=demo&job=netboot.x86_64-linux"
    ).json()
    assert {(record["jobset"], record["job"]) for record in narrow} == {
        ("demo", "netboot.x86_64-linux")
    }
    assert len(narrow) == 2
    systems = client.get("/api/latestbuilds?nr=99&system=aarch64-linux").json()
    assert {record["system"] for record in systems} == {"aarch64-linux"}
    assert client.get("/api/latestbuilds?nr=9&project=nixpkgs").json() == []
    assert client.get("/api/latestbuilds").status_code == 400
    assert client.get("/api/latestbuilds?nr=many").status_code == 400


@pytest.mark.django_db(transaction=True)
def test_curl_and_wget_download_by_these_addresses(
    stored_weeks: Weeks, make_web: MakeWeb, tmp_path: Path
) -> None:
    web = make_web()
    url = f"{web.url}{JOB}/latest/download-by-type/file/initrd"
    for command in (["curl", "-sSfL", "-o", "initrd", url], ["wget", "-q", "-O", "initrd", url]):
        subprocess.run(command, cwd=tmp_path, check=True, timeout=30)
        data = (tmp_path / "initrd").read_bytes()
        assert (
            hashlib.sha256(data).hexdigest() == stored_weeks.artifact("initrd-x86_64-linux").sha256
        )
