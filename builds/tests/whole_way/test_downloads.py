"""What curl and sha256sum get from a running portal."""

from __future__ import annotations

import hashlib
import json
import subprocess
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from builds.tests.whole_way.conftest import Portal

VARIANTS = [
    "netboot", "kexec-installer", "kexec-installer-noninteractive", "kexec-bundle", "iso",
]  # fmt: skip
SYSTEMS = ("x86_64-linux", "aarch64-linux")
Records = dict[str, dict[str, Any]]


def curl(*arguments: str | Path, folder: Path) -> None:
    subprocess.run(["curl", "-fsS", *arguments], cwd=folder, check=True)


@pytest.mark.timeout(900)
def test_first_start_publishes_demo_for_both_systems(portal: Portal, demo: Records) -> None:
    page = portal.get("/")

    for system, record in demo.items():
        assert record["version"] in page
        assert system in page
        assert {check["name"]: check["verdict"] for check in record["checks"]} == {
            "boot-netboot-direct": "passed",
            "boot-kexec-installer": "passed",
            "boot-kexec-installer-noninteractive": "passed",
            "boot-kexec-bundle": "passed",
            "boot-iso-cd-uefi": "passed",
            "reproduced": "passed",
        }
        boots = [check for check in record["checks"] if check["name"].startswith("boot-")]
        assert {check["accelerator"] for check in boots} <= {"kvm", "tcg"}
        assert ">reproduced<" in portal.get(f"/badge/demo/{system}/reproduced.svg")
        manifest = json.loads(portal.get(record["manifest_url"].removeprefix(portal.url)))
        [compared] = [each for each in manifest["checks"] if each["name"] == "reproduced"]
        assert compared["comparison"]["files"] == len(record["artifacts"]) - 1  # not the script
        assert compared["comparison"]["derivations"] >= len({*VARIANTS})
        assert {artifact["role"] for artifact in record["artifacts"]} == {
            "kernel",
            "initrd",
            "ipxe",
            "tarball",
            "bundle",
            "iso",
        }
    assert "nixos-unstable" in page
    assert portal.get("/readyz").count(": ok") == 4


def test_every_file_agrees_with_the_sums(portal: Portal, demo: Records, tmp_path: Path) -> None:
    base = f"{portal.url}/releases/download/demo"
    curl("-O", f"{base}/SHA256SUMS", folder=tmp_path)
    for line in (tmp_path / "SHA256SUMS").read_text().splitlines():
        curl("-O", f"{base}/{line.split()[1]}", folder=tmp_path)

    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_real_builds_say_is_as_the_published_schemas_say(
    portal: Portal, demo: Records, system: str
) -> None:
    moving = f"{portal.url}/releases/download/demo"
    for schema, url in (
        ("release", demo[system]["manifest_url"]),
        ("latest", f"{moving}/latest-{system}.json"),
        ("releases", f"{moving}/releases.json"),
    ):
        with urllib.request.urlopen(url, timeout=30) as answer:
            record = json.load(answer)
        jsonschema.validate(record, json.loads(portal.get(f"/schemas/{schema}.json")))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_file_name_of_the_seed_answers(portal: Portal, demo: Records, system: str) -> None:
    kernel = ("bzImage-" if system == "x86_64-linux" else "Image-") + system
    digests = {artifact["name"]: artifact["sha256"] for artifact in demo[system]["artifacts"]}
    assert set(digests) == {
        kernel,
        f"initrd-{system}",
        f"netboot-{system}.ipxe",
        f"nixos-kexec-installer-{system}.tar.gz",
        f"nixos-kexec-installer-{system}.tar.xz",
        f"nixos-kexec-installer-noninteractive-{system}.tar.gz",
        f"kexec-bundle-{system}",
        f"nixos-installer-{system}.iso",
    }
    places = ("demo", f"demo/{demo[system]['version']}")
    for name, digest in digests.items():
        for place in places:
            for before in ("", "/nix-community/nixos-images"):
                address = f"{portal.url}{before}/releases/download/{place}/{name}"
                head = urllib.request.Request(address, method="HEAD")
                with urllib.request.urlopen(head, timeout=30) as answer:
                    assert answer.status == HTTPStatus.OK
                    # An iPXE script at a moving address names one release, so it is another file.
                    if not name.endswith(".ipxe"):
                        assert answer.headers["ETag"] == f'"{digest}"'


def test_broken_download_resumes_to_the_same_digest(
    portal: Portal, demo: Records, tmp_path: Path
) -> None:
    [kernel] = [a for a in demo["x86_64-linux"]["artifacts"] if a["role"] == "kernel"]
    curl("-r", "0-999999", "-o", "kernel", kernel["immutable_url"], folder=tmp_path)
    assert (tmp_path / "kernel").stat().st_size == 1_000_000

    curl("-C", "-", "-o", "kernel", kernel["immutable_url"], folder=tmp_path)

    digest = hashlib.sha256((tmp_path / "kernel").read_bytes()).hexdigest()
    assert digest == kernel["sha256"]


def test_kexec_command_runs_as_pasted_up_to_the_kexec_itself(
    portal: Portal, demo: Records, tmp_path: Path
) -> None:
    command: str = demo["x86_64-linux"]["commands"]["kexec"]
    before, separator, last = command.rpartition("&& ")
    assert (separator, last) == ("&& ", "/root/kexec/run")
    # /root is a folder of this test's own, in a mount namespace of its own.
    script = f"mount -t tmpfs tmpfs /root && cd /root && {before}&& ls /root/kexec"

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=True
    )

    assert "nixos-kexec-installer-x86_64-linux.tar.gz: OK" in done.stdout
    assert {"run", "kexec", "ip", "bzImage", "initrd"} <= set(done.stdout.split())


def test_kexec_command_stops_at_a_wrong_digest(
    portal: Portal, demo: Records, tmp_path: Path
) -> None:
    name = "nixos-kexec-installer-x86_64-linux.tar.gz"
    [tarball] = [a for a in demo["x86_64-linux"]["artifacts"] if a["name"] == name]
    command = demo["x86_64-linux"]["commands"]["kexec"].replace(tarball["sha256"], "0" * 64)
    safe = command.replace("/root/kexec/run", "touch ran").replace("-C /root", f"-C {tmp_path}")

    done = subprocess.run(["sh", "-c", safe], cwd=tmp_path, capture_output=True, check=False)

    assert done.returncode != 0
    assert not (tmp_path / "kexec").exists()
    assert not (tmp_path / "ran").exists()
