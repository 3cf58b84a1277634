"""A machine boots from the running portal by iPXE, and kexecs into its tarball."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builds.choices import System
from builds.emulator.guest import Guest
from builds.emulator.machine import Firmware, Forward, Machine
from builds.tests.whole_way.conftest import Portal
from conftest import free_port

Records = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Ssh:
    """A client with a key of its own that knows one guest's host key."""

    folder: Path
    port: int

    @classmethod
    def make(cls, folder: Path) -> Ssh:
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        return cls(folder, free_port())

    @property
    def public_key(self) -> str:
        return (self.folder / "key.pub").read_text().strip()

    def run(self, command: str, *, new_host: bool = False) -> subprocess.CompletedProcess[str]:
        options = {
            "StrictHostKeyChecking": "accept-new" if new_host else "yes",
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "10",
        }
        arguments = [f"-o{name}={value}" for name, value in options.items()]
        target = ["-p", str(self.port), "root@127.0.0.1"]
        return subprocess.run(
            ["ssh", "-F", "none", "-i", self.folder / "key", *arguments, *target, command],
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.mark.timeout(900)
def test_machine_boots_by_ipxe_and_kexecs_with_its_keys(
    portal: Portal, demo: Records, tmp_path: Path
) -> None:
    record = demo["x86_64-linux"]
    ssh = Ssh.make(tmp_path)
    script = f"{portal.url_for_guests}/releases/download/demo/netboot-x86_64-linux.ipxe"
    machine = Machine(
        system=System.X86_64,
        firmware=Firmware.BIOS,
        bootfile=script,
        isolated=False,
        forwards=(Forward(ssh.port, 22),),
    )
    marker = re.escape(f"mini image is up: x86_64-linux {record['version']}")

    with Guest(machine, log=tmp_path / "console") as guest:
        guest.wait_for(marker, timeout=120)
        guest.send(f"\nmkdir -p /root/.ssh; echo '{ssh.public_key}' > /root/.ssh/authorized_keys\n")
        guest.send("echo key-is-$((40 + 2))\n")
        guest.wait_for("key-is-42", timeout=20)
        first = ssh.run("cat /proc/sys/kernel/random/boot_id", new_host=True)
        assert first.returncode == 0, first.stderr

        [tarball] = [a for a in record["artifacts"] if a["role"] == "tarball"]
        url = tarball["immutable_url"].replace(portal.url, portal.url_for_guests)
        fetch = f"cd /root && wget -q {url} && echo '{tarball['sha256']}  {tarball['name']}'"
        done = ssh.run(f"{fetch} | sha256sum -c - && tar -xzf {tarball['name']} && kexec/run")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "machine will boot into nixos" in done.stdout
        guest.wait_for(marker, timeout=120)

        # ssh refuses a host key that it does not know, and the guest a key that it was not given.
        second = ssh.run("cat /proc/sys/kernel/random/boot_id; cat /root/.ssh/authorized_keys")

    assert second.returncode == 0, second.stderr
    boot_id, *keys = second.stdout.splitlines()
    assert boot_id != first.stdout.strip()
    assert keys == [ssh.public_key]
