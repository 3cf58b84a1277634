"""Machines that boot what a running portal hands out: by iPXE, and by kexec from another Linux."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from builds.boot.handover import archive
from builds.boot.options import BootOptions
from builds.choices import System
from builds.emulator.guest import Guest
from builds.emulator.machine import Firmware, Forward, Machine
from builds.tests.whole_way.anywhere import Anywhere
from builds.tests.whole_way.conftest import Portal
from builds.tests.whole_way.ssh import Ssh

Records = dict[str, dict[str, Any]]
SYSTEM = "x86_64-linux"
TARBALL = f"releases/download/demo/nixos-kexec-installer-{SYSTEM}.tar.gz"
# QEMU forwards ssh to 10.0.2.15; the length is another one than its DHCP server gives.
ADDRESSES = ["10.0.2.15/25", "2001:db8::5/64"]
OS_RELEASE = 'ID=debian\nVERSION="12"\n'


def marker(record: dict[str, Any]) -> str:
    return re.escape(f"mini image is up: {SYSTEM} {record['version']}")


def addresses(ssh: Ssh) -> list[str]:
    """Without those that the guest gets by itself from QEMU's router advertisements."""
    lines = ssh.get("ip -o address show dev eth0 | grep 'scope global'").splitlines()
    return sorted(line.split()[3] for line in lines if "fec0:" not in line)


def state(ssh: Ssh) -> dict[str, Any]:
    """What an installer has to find again; of its own host key ssh itself makes sure."""
    routes = ssh.get("ip -4 route show; ip -6 route show").splitlines()
    return {
        "keys": ssh.get("cat /root/.ssh/authorized_keys"),
        "machine id": ssh.get("cat /etc/machine-id"),
        "addresses": addresses(ssh),
        "routes": [" ".join(line.split()[:3]) for line in routes if re.search(r"via \d", line)],
        "name servers": ssh.get("cat /etc/resolv.conf"),
    }


@pytest.mark.timeout(600)
def test_machine_boots_by_ipxe_with_what_its_address_says_and_is_kexecd_by_wget(
    portal: Portal, demo: Records, tmp_path: Path
) -> None:
    ssh = Ssh.make(tmp_path)
    options = BootOptions.parse(
        {
            "keys": ssh.public_key,
            "hostname": "rescue-7",
            "addresses": " ".join(ADDRESSES),
            "gateways": "10.0.2.2",
            "nameservers": "10.0.2.3",
            "params": "test.word=a,b",
        }
    )
    path = f"boot/demo/{SYSTEM}/{options.segment}/netboot.ipxe"
    machine = Machine(
        system=System.X86_64,
        firmware=Firmware.BIOS,
        bootfile=f"{portal.url_for_guests}/{path}",
        isolated=False,
        forwards=(Forward(ssh.port, 22),),
    )

    with Guest(machine, log=tmp_path / "console") as guest:
        guest.wait_for(marker(demo[SYSTEM]), timeout=120)
        assert ssh.get("hostname") == "rescue-7\n"
        words = ssh.get("cat /proc/cmdline").split()
        assert "test.word=a,b" in words
        assert any(word.startswith("BOOTIF=01-52-54-00-") for word in words)
        assert addresses(ssh) == ADDRESSES
        assert ssh.get("cat /root/.ssh/authorized_keys").strip() == ssh.public_key
        assert ssh.get("cat /etc/resolv.conf") == "nameserver 10.0.2.3\n"
        kexec_and_compare(portal, ssh)


@pytest.mark.timeout(600)
def test_guest_with_curl_alone_is_kexecd_into_the_latest_release(
    portal: Portal, demo: Records, tmp_path: Path
) -> None:
    ssh = Ssh.make(tmp_path)
    with other_linux(demo[SYSTEM], ssh, tmp_path) as guest:
        guest.wait_for(marker(demo[SYSTEM]), timeout=120)
        ssh.get("mkdir -p /opt && tar -x -C /opt -f - && rm /bin/wget", given=programs())
        # BusyBox' shell would find its own wget and setsid, whatever is in the folders.
        ssh.get("ln -sf /opt/run-curl /bin/curl; ln -sf /opt/run-setsid /bin/setsid")
        ssh.get("ln -sf /opt/run-bash /bin/bash; ln -sf bash /bin/sh")
        facts = Anywhere(ssh).facts()
        assert [facts[name] for name in ("hasWget", "hasCurl", "hasSetsid")] == ["n", "y", "y"]
        said = kexec_and_compare(portal, ssh)
    assert "kexec/bzImage" in said


def kexec_and_compare(portal: Portal, ssh: Ssh) -> str:
    ssh.get("cat > /etc/os-release", given=OS_RELEASE.encode())
    ssh.get("ip route add 198.51.100.0/24 via 10.0.2.3")
    before, boot_id = state(ssh), ssh.get("cat /proc/sys/kernel/random/boot_id")
    assert "198.51.100.0/24 via 10.0.2.3" in before["routes"]
    said = Anywhere(ssh).kexec(f"{portal.url_for_guests}/{TARBALL}")
    assert ssh.get("cat /proc/sys/kernel/random/boot_id") != boot_id
    assert state(ssh) == before
    return said


def other_linux(record: dict[str, Any], ssh: Ssh, folder: Path) -> AbstractContextManager[Guest]:
    """A running Linux with a key, an ssh host key and addresses of its own."""
    paths = {artifact["role"]: folder / artifact["name"] for artifact in record["artifacts"]}
    for artifact in record["artifacts"]:
        if artifact["role"] in {"kernel", "initrd"}:
            urllib.request.urlretrieve(artifact["immutable_url"], paths[artifact["role"]])
    network = [f"address any {address}\n" for address in ADDRESSES] + ["gateway any 10.0.2.2\n"]
    extra = archive(
        {
            "handover/ssh/authorized_keys": f"no-agent-forwarding {ssh.public_key}\n",
            "handover/network": "".join(network),
        }
    )
    initrd = folder / "initrd"
    initrd.write_bytes(extra + paths["initrd"].read_bytes())
    machine = Machine(
        System.X86_64,
        kernel=paths["kernel"],
        initrd=initrd,
        append="console=ttyS0",
        isolated=False,
        forwards=(Forward(ssh.port, 22),),
    )
    return Guest(machine, log=folder / "console")


def programs() -> bytes:
    """What nixos-anywhere wants of a target and BusyBox lacks, of this machine, as a tar archive.

    Each comes with its libraries and a script that starts it on them.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as tar:
        for name in ("bash", "curl", "setsid"):
            program = shutil.which(name)
            assert program
            linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
            libraries = [word for word in linked.stdout.split() if word.startswith("/")]
            [loader] = [library for library in libraries if "/ld-linux" in library]
            start = f"/opt/{Path(loader).name} --library-path /opt /opt/{name}"
            run = f'#!/bin/busybox sh\nexec {start} "$@"\n'
            for file in (program, *libraries):
                if Path(file).name not in tar.getnames():
                    tar.add(file, Path(file).name)
            entry = tarfile.TarInfo(f"run-{name}")
            entry.size, entry.mode = len(run), 0o755
            tar.addfile(entry, io.BytesIO(run.encode()))
    return buffer.getvalue()
