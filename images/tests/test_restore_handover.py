"""What an earlier system hands over ends up where sshd, networkd and resolved look for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HANDOVER = Path(__file__).parents[1] / "nixos" / "handover"
SHELLS = {"dash": ["dash"], "bash": ["bash", "-e"], "busybox": ["busybox", "sh"]}
CARD, OTHER_CARD = "52:54:00:12:34:56", "52:54:00:12:34:57"


class Machine:
    """A folder that stands for the root, one for /handover, and a shell to restore with."""

    def __init__(self, shell: list[str], folder: Path) -> None:
        self.shell = shell
        self.folder = folder
        self.root = folder / "root"
        self.handover = folder / "handover"
        for path in (self.root, self.handover / "ssh", self.handover / "dropbear"):
            path.mkdir(parents=True)

    def hand_over(self, name: str, text: str) -> None:
        path = self.handover / name
        path.write_text(text)
        path.chmod(0o600)

    def restore(self, **environment: str) -> str:
        """Restore everything; what was said on the way."""
        done = subprocess.run(
            [*self.shell, str(HANDOVER / "restore.sh"), str(self.handover), str(self.root)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0
        return done.stdout + done.stderr

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def mode(self, path: str) -> str:
        return f"{(self.root / path).stat().st_mode & 0o7777:o}"

    def card(self, mac: str = CARD) -> list[str]:
        """The lines of the networkd file of a card, without the empty ones."""
        return [line for line in self.text(network_file(mac)).splitlines() if line]


def network_file(mac: str) -> str:
    return f"run/systemd/network/10-handover-{mac.replace(':', '-')}.network"


@pytest.fixture(params=[name for name, call in SHELLS.items() if shutil.which(call[0])])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(SHELLS[request.param], tmp_path)


def test_keys_are_restored_for_their_owner_alone(machine: Machine) -> None:
    machine.hand_over("ssh/authorized_keys", "ssh-ed25519 AAAA one\nssh-rsa BBBB two\n")
    machine.hand_over("ssh/ssh_host_ed25519_key", "private")
    machine.hand_over("ssh/ssh_host_ed25519_key.pub", "public")
    assert machine.restore() == ""
    assert machine.text("root/.ssh/authorized_keys") == "ssh-ed25519 AAAA one\nssh-rsa BBBB two\n"
    assert machine.mode("root/.ssh/authorized_keys") == "600"
    assert machine.mode("root/.ssh") == "700"
    assert machine.mode("etc/ssh/ssh_host_ed25519_key") == "600"
    assert machine.mode("etc/ssh/ssh_host_ed25519_key.pub") == "644"


def test_nothing_handed_over_leaves_everything_as_it_was(machine: Machine) -> None:
    machine.hand_over("ssh/authorized_keys", "")
    machine.hand_over("network", "")
    assert machine.restore() == ""
    assert not (machine.root / "root").exists()
    assert not (machine.root / "run").exists()


def test_dropbear_key_is_converted_unless_openssh_has_one(machine: Machine) -> None:
    tools = machine.folder / "tools"
    tools.mkdir()
    convert = tools / "dropbearconvert"
    convert.write_text('#!/bin/sh\necho "$1 to $2" > "$4"\n')
    convert.chmod(0o755)
    machine.hand_over("ssh/ssh_host_rsa_key", "openssh")
    for kind in ("rsa", "ed25519"):
        machine.hand_over(f"dropbear/dropbear_{kind}_host_key", "dropbear")
    machine.restore(PATH=f"{tools}:{os.environ['PATH']}")
    assert machine.text("etc/ssh/ssh_host_rsa_key") == "openssh"
    assert machine.text("etc/ssh/ssh_host_ed25519_key") == "dropbear to openssh\n"
    assert machine.mode("etc/ssh/ssh_host_ed25519_key") == "600"


def test_network_is_restored_although_a_key_cannot_be_converted(machine: Machine) -> None:
    machine.hand_over("dropbear/dropbear_rsa_host_key", "broken")
    machine.hand_over("network", f"address {CARD} 192.0.2.5/24\n")
    tools = machine.folder / "tools"
    tools.mkdir()
    (tools / "dropbearconvert").symlink_to("/bin/false")
    said = machine.restore(PATH=f"{tools}:{os.environ['PATH']}")
    assert "dropbear_rsa_host_key could not be converted" in said
    assert "Address=192.0.2.5/24" in machine.card()


def test_card_keeps_addresses_gateways_and_routes(machine: Machine) -> None:
    machine.hand_over(
        "network",
        f"""\
address {CARD} 192.0.2.5/24
address {CARD} 2001:db8::5/64
address {OTHER_CARD} 10.0.0.5/32
gateway {CARD} 192.0.2.1
route {OTHER_CARD} 10.1.0.0/16 10.0.0.1
gateway {CARD} fe80::1
""",
    )
    assert machine.restore() == ""
    assert machine.card() == [
        "[Match]",
        f"MACAddress={CARD}",
        "[Network]",
        "DHCP=no",
        "IPv6AcceptRA=yes",
        "Address=192.0.2.5/24",
        "Address=2001:db8::5/64",
        "[Route]",
        "Gateway=192.0.2.1",
        "GatewayOnLink=yes",
        "[Route]",
        "Gateway=fe80::1",
        "GatewayOnLink=yes",
    ]
    assert machine.card(OTHER_CARD)[-4:] == [
        "[Route]",
        "Gateway=10.0.0.1",
        "GatewayOnLink=yes",
        "Destination=10.1.0.0/16",
    ]


def test_card_with_ipv6_alone_still_asks_for_ipv4(machine: Machine) -> None:
    machine.hand_over("network", f"address {CARD} 2001:db8::5/64\n")
    machine.restore()
    assert "DHCP=ipv4" in machine.card()


def kernel_line(machine: Machine, words: str) -> None:
    (machine.root / "proc/sys/kernel").mkdir(parents=True)
    (machine.root / "proc/cmdline").write_text(f"{words}\n")


def test_address_for_any_card_goes_to_the_one_that_was_booted_from(machine: Machine) -> None:
    kernel_line(machine, "init=/init BOOTIF=01-52-54-00-AB-cd-56 quiet")
    machine.hand_over("network", "address any 192.0.2.5/24\ngateway any 192.0.2.1\n")
    assert machine.restore() == ""
    lines = machine.card("any")
    assert lines[:2] == ["[Match]", "MACAddress=52:54:00:ab:cd:56"]
    assert "Address=192.0.2.5/24" in lines
    assert "Gateway=192.0.2.1" in lines


def test_address_for_any_card_is_for_wired_ones_where_no_loader_says_more(machine: Machine) -> None:
    kernel_line(machine, "init=/init quiet")
    machine.hand_over("network", "address any 192.0.2.5/24\n")
    machine.restore()
    assert machine.card("any")[:3] == ["[Match]", "Type=ether", "Kind=!*"]


def test_hostname_is_the_kernels_and_the_files(machine: Machine) -> None:
    kernel_line(machine, "init=/init")
    (machine.root / "etc").mkdir()
    (machine.root / "etc/hostname").symlink_to("static/hostname")
    machine.hand_over("hostname", "rescue-7\n")
    assert machine.restore() == ""
    assert machine.text("proc/sys/kernel/hostname") == "rescue-7\n"
    assert machine.text("etc/hostname") == "rescue-7\n"
    assert machine.mode("etc/hostname") == "644"


def test_point_to_point_address_gets_its_length(machine: Machine) -> None:
    machine.hand_over("network", f"address {CARD} 192.0.2.5\naddress {CARD} 2001:db8::5\n")
    machine.restore()
    assert "Address=192.0.2.5/32" in machine.card()
    assert "Address=2001:db8::5/128" in machine.card()


def test_networkd_may_read_its_files(machine: Machine) -> None:
    machine.hand_over("network", f"address {CARD} 192.0.2.5/24\nnameserver 192.0.2.53\n")
    machine.restore()
    assert machine.mode(network_file(CARD)) == "644"
    assert machine.mode("run/systemd/resolved.conf.d/handover.conf") == "644"


def test_name_servers_are_restored(machine: Machine) -> None:
    machine.hand_over("network", "nameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    machine.restore()
    assert machine.text("run/systemd/resolved.conf.d/handover.conf") == (
        "[Resolve]\nDNS=192.0.2.53\nDNS=2001:db8::53\n"
    )
