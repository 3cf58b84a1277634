"""From a trigger to a verified download, over everything that a production has."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builds.tests.front import Front
from builds.tests.processes import processes_with
from builds.tests.production import shape
from builds.tests.production.shape import Production
from builds.tests.serving.asking import ask

BUILDS = "build.x86_64-linux,build.aarch64-linux"
SYSTEMS = ("x86_64-linux", "aarch64-linux")
STUCK = "987612"  # seconds
# A machine on which Nix hangs: it is killed in the midst of a build.
SLOW_NIX = f"""#!/bin/sh
case " $* " in *" build "*) sleep {STUCK} ;; esac
exec nix "$@"
"""


def record(server: Front, path: str) -> Any:
    return json.loads(ask(server.url, f"/api/v1/{path}").body)


def builds(server: Front) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = record(server, "builds/")["builds"]
    return found


@pytest.mark.timeout(400)
def test_killed_worker_and_all_servers_apart_still_make_a_release_that_verifies(
    tmp_path: Path,
) -> None:
    slow = tmp_path / "slow-nix"
    slow.write_text(SLOW_NIX)
    slow.chmod(0o755)
    with shape.running(tmp_path) as (portal, server):
        one, two = portal.machines
        alone = ("--queues", BUILDS, "--concurrency", "1")
        victim = portal.worker_on(one, *alone, NIX_PROGRAM=str(slow))
        portal.manage("trigger", "demo")
        portal.wait_until("stuck build", stuck)
        portal.worker_on(two, "--queues", f"{BUILDS},check", "--concurrency", "2")
        portal.kill(victim)

        latest = {system: wait_for_latest(portal, server, system) for system in SYSTEMS}

        tried = [build for build in builds(server) if build["attempt"] == 2]
        assert len(tried) == 1, "one build was lost with its machine, and made again"
        assert not stuck(), "nothing is left of the killed worker"
        for system, found in latest.items():
            verify(server, tmp_path, system, found)
        withdraw(portal, server, latest["x86_64-linux"])
        lose_the_database(portal, tmp_path)
        look_again(server, latest)
        assert server.errors == ""


def stuck() -> list[int]:
    """The programs that hang, without the shells that name them."""
    lines = {pid: Path(f"/proc/{pid}/cmdline") for pid in processes_with(STUCK)}
    return [pid for pid, line in lines.items() if line.read_bytes().startswith(b"sleep\0")]


def wait_for_latest(portal: Production, server: Front, system: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(record(server, f"latest/demo/{system}/"))
        return "version" in found

    portal.wait_until(f"release for {system}", look, within=240)
    return found


def verify(server: Front, folder: Path, system: str, latest: dict[str, Any]) -> None:
    """Every file has its digest, and who is known has signed the digests."""
    place = f"/releases/download/demo/{latest['version']}"
    sums = ask(server.url, f"{place}/SHA256SUMS-{system}").body
    (folder / "sig").write_bytes(ask(server.url, f"{place}/SHA256SUMS-{system}.sig").body)
    signers = ask(server.url, "/keys/allowed_signers").body
    (folder / "signers").write_bytes(signers)
    who = signers.decode().split()[0]
    verified = subprocess.run(
        [
            *("ssh-keygen", "-Y", "verify", "-f", folder / "signers", "-I", who),
            *("-n", "nixos-images", "-s", folder / "sig"),
        ],
        input=sums,
        capture_output=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    lines = [line.split("  ") for line in sums.decode().splitlines()]
    told = {name: sha256 for sha256, name in lines}
    assert told == {each["name"]: each["sha256"] for each in latest["artifacts"]}
    for name, sha256 in told.items():
        for path in (f"{place}/{name}", f"/releases/download/demo/{name}"):
            answer = ask(server.url, path)
            assert answer.status == 200, "no redirect: iPXE loads it"
            if name.startswith("netboot") and path.count("/") == 4:
                continue  # the one that moves names the release, and so has other bytes
            assert hashlib.sha256(answer.body).hexdigest() == sha256
            assert answer.headers["etag"] == f'"{sha256}"'


def withdraw(portal: Production, server: Front, latest: dict[str, Any]) -> None:
    kernel = f"/releases/download/demo/{latest['version']}/bzImage-x86_64-linux"
    system, version = latest["system"], latest["version"]
    portal.manage("withdraw", "demo", version, "--system", system, "--reason", "It was a try.")
    gone = ask(server.url, kernel)
    assert (gone.status, b"It was a try." in gone.body) == (410, True)
    assert ask(server.url, "/releases/download/demo/bzImage-x86_64-linux").status == 404
    other = f"/releases/download/demo/{version}/initrd-aarch64-linux"
    assert ask(server.url, other).status == 200, "the other system has nothing to do with it"


def lose_the_database(portal: Production, folder: Path) -> None:
    """What docs/operations.md says: the backup can be read, and the storage alone is enough."""
    url = portal.settings["DATABASE_URL"]
    dump = folder / "portal.dump"
    subprocess.run(["pg_dump", "--format=custom", "--file", dump, url], check=True)
    portal.stop_short_work()
    drop = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    subprocess.run(["psql", "--quiet", "--command", drop, url], check=True, capture_output=True)
    other = url.replace("/postgres", "/copy")
    subprocess.run(["createdb", "--maintenance-db", url, "copy"], check=True)
    subprocess.run(["pg_restore", "--exit-on-error", "--dbname", other, dump], check=True)
    assert count(other) == "2"
    portal.manage("migrate", "-v0")
    portal.manage("restore")
    assert count(url) == "2"


def count(url: str) -> str:
    asked = ["psql", "--tuples-only", "--no-align", "--command"]
    query = "SELECT count(*) FROM builds_release"
    return subprocess.run(
        [*asked, query, url], check=True, capture_output=True, text=True
    ).stdout.strip()


def look_again(server: Front, latest: dict[str, Any]) -> None:
    """What was there before is there again, and what was taken back stays back."""
    place = f"/releases/download/demo/{latest['x86_64-linux']['version']}"
    assert ask(server.url, f"{place}/bzImage-x86_64-linux").status == 410
    for file in latest["aarch64-linux"]["artifacts"]:
        answer = ask(server.url, f"/releases/download/demo/{file['name']}")
        assert answer.status == 200
        if not file["name"].endswith(".ipxe"):
            assert hashlib.sha256(answer.body).hexdigest() == file["sha256"]
