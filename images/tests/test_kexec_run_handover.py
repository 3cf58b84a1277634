"""What kexec/run loads and hands over, in each shell; cpio itself reads the archive back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from images.tests.rescue_system import SHELLS, RescueSystem

PLAIN = "ssh-ed25519 AAAAroot root"
WITH_OPTIONS = 'from="192.0.2.0/24",no-agent-forwarding ssh-rsa BBBB two words'
FORBIDDING = (
    'no-port-forwarding,command="echo \'Please login as the user \\"admin\\" rather than the user '
    '\\"root\\".\';echo;sleep 10;exit 142" ssh-ed25519 AAAAadmin admin'
)
ADDRESSES = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0    inet 192.0.2.5/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever
2: eth0    inet6 2001:db8::5/64 scope global \\       valid_lft forever preferred_lft forever
2: eth0    inet6 fec0::1234/64 scope site dynamic mngtmpaddr \\       valid_lft 86387sec
2: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever preferred_lft forever
3: eth1    inet 10.0.2.15/24 scope global dynamic eth1\\       valid_lft 86187sec
4: eth2@if9    inet 198.51.100.7 peer 198.51.100.1/32 scope global eth2\\       valid_lft forever
"""
ROUTES = """\
default via 192.0.2.1 dev eth0 proto static
default via 10.0.2.2 dev eth1 proto dhcp src 10.0.2.15 metric 1024
192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.5
10.1.0.0/16 via 192.0.2.254 dev eth0
"""
ROUTES6 = """\
default via 2001:db8::1 dev eth0 metric 9 pref medium
default via fe80::2 dev eth0 proto ra metric 1024 expires 1787sec
"""


@pytest.fixture(params=SHELLS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> RescueSystem:
    system = RescueSystem(tmp_path, SHELLS[request.param])
    system.write("root/.ssh/authorized_keys", PLAIN)
    for card, number in {"eth0": 1, "eth1": 2, "eth2": 3}.items():
        system.write(f"sys/class/net/{card}/address", f"52:54:00:00:00:0{number}\n")
    system.answers(addresses=ADDRESSES, v4=ROUTES, v6=ROUTES6)
    return system


def keys(system: RescueSystem, **environment: str) -> list[str]:
    done = system.run(**environment)
    assert done.returncode == 0, done.stderr
    return (system.unpacked() / "ssh/authorized_keys").read_text().splitlines()


def test_keys_of_root_are_found_in_all_three_places(system: RescueSystem) -> None:
    system.write("root/.ssh/authorized_keys2", f"# old\n\n{WITH_OPTIONS}\n")
    system.write("etc/ssh/authorized_keys.d/root", f"{PLAIN}\nssh-ed25519 AAAAd declared\n")
    assert keys(system) == [PLAIN, WITH_OPTIONS, "ssh-ed25519 AAAAd declared"]


@pytest.mark.parametrize("variable", ["SUDO_USER", "DOAS_USER"])
def test_keys_of_who_called_sudo_or_doas_come_too(system: RescueSystem, variable: str) -> None:
    system.write("home/admin/.ssh/authorized_keys", "ssh-ed25519 AAAAadmin admin\n")
    system.write("etc/ssh/authorized_keys.d/admin", f"{WITH_OPTIONS}\n")
    assert keys(system, **{variable: "admin"}) == [
        PLAIN,
        "ssh-ed25519 AAAAadmin admin",
        WITH_OPTIONS,
    ]


def test_forced_command_that_forbids_root_is_no_grant(system: RescueSystem) -> None:
    system.write("root/.ssh/authorized_keys", f"{FORBIDDING}\n")
    system.write("home/admin/.ssh/authorized_keys", "ssh-ed25519 AAAAadmin admin\n")
    assert keys(system, SUDO_USER="admin") == ["ssh-ed25519 AAAAadmin admin"]


def test_without_any_key_it_warns(system: RescueSystem) -> None:
    (system.root / "root/.ssh/authorized_keys").unlink()
    done = system.run("--dry-run")
    assert done.returncode == 0
    assert "nobody will get in by ssh" in done.stderr


def test_host_keys_and_machine_id_are_for_root_alone(system: RescueSystem) -> None:
    system.write("etc/ssh/ssh_host_ed25519_key", "private\n", 0o600)
    system.write("etc/ssh/ssh_host_ed25519_key.pub", "public\n")
    system.write("etc/dropbear/dropbear_rsa_host_key", b"\0\1\2")
    system.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    system.run()
    handover = system.unpacked()
    assert (handover / "ssh/ssh_host_ed25519_key").read_text() == "private\n"
    assert (handover / "ssh/ssh_host_ed25519_key.pub").read_text() == "public\n"
    assert (handover / "dropbear/dropbear_rsa_host_key").read_bytes() == b"\0\1\2"
    assert (handover / "machine-id").read_text() == "0123456789abcdef0123456789abcdef\n"
    assert {path.stat().st_mode & 0o077 for path in [handover, *handover.rglob("*")]} == {0}


def test_private_keys_are_for_root_alone_while_they_wait_to_be_loaded(system: RescueSystem) -> None:
    system.run()
    assert system.read("modes").startswith("-rw-------")


def test_machine_id_that_was_never_set_is_left_behind(system: RescueSystem) -> None:
    system.write("etc/machine-id", "uninitialized\n")
    system.run()
    assert not (system.unpacked() / "machine-id").exists()


def test_addresses_and_routes_that_are_not_by_dhcp_go_along(system: RescueSystem) -> None:
    system.write("etc/resolv.conf", "nameserver 127.0.0.53\nnameserver 192.0.2.53\n")
    system.run()
    assert (system.unpacked() / "network").read_text().splitlines() == [
        "address 52:54:00:00:00:01 192.0.2.5/24",
        "address 52:54:00:00:00:01 2001:db8::5/64",
        "address 52:54:00:00:00:03 198.51.100.7",
        "gateway 52:54:00:00:00:01 192.0.2.1",
        "route 52:54:00:00:00:01 10.1.0.0/16 192.0.2.254",
        "gateway 52:54:00:00:00:01 2001:db8::1",
        "nameserver 192.0.2.53",
    ]


def test_running_twice_does_not_grow_the_initrd(system: RescueSystem) -> None:
    before = system.initrd
    assert system.run().returncode == 0
    assert system.run().returncode == 0
    assert system.initrd == before
    first, second = ((system.root / f"loaded{n}").stat().st_size for n in (1, 2))
    assert first == second
    assert not (system.root / "root/kexec/handover.tmp").exists()


def test_dry_run_says_what_it_would_hand_over_and_loads_nothing(system: RescueSystem) -> None:
    done = system.run("--dry-run")
    assert done.returncode == 0
    assert "1 authorized keys, 3 addresses that are not by DHCP, 2 gateways, 1 other" in done.stdout
    assert "dry run: nothing is loaded" in done.stdout
    assert "machine will boot" not in done.stdout
    assert system.calls == ["--version"]
    assert not (system.root / "root/kexec/handover.tmp").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--append", "a=1 b=2", "--kexec-extra-flags", "--reset-vga --debug"],
        ["--append=a=1", "--append=b=2", "--kexec-extra-flags=--reset-vga --debug"],
    ],
)
def test_kernel_parameters_and_flags_reach_kexec(system: RescueSystem, words: list[str]) -> None:
    system.run(*words)
    [load] = [call for call in system.calls if "--load" in call]
    assert "--command-line init=/init console=tty0 a=1 b=2 --reset-vga --debug" in load
    assert load.startswith("--load /root/kexec/bzImage --initrd=/root/kexec/handover.tmp/initrd ")


def test_kernel_that_refuses_one_system_call_is_asked_by_another(system: RescueSystem) -> None:
    system.write("refused", "--kexec-syscall-auto")
    assert system.run().returncode == 0
    loads = [call for call in system.calls if "--load" in call]
    assert ["--kexec-syscall-auto" in load for load in loads] == [True, False]


def test_refused_image_leaves_nothing_behind_and_boots_nothing(system: RescueSystem) -> None:
    system.write("refused", "--no-checks")
    done = system.run()
    assert done.returncode == 1
    assert "kexec could not load the image" in done.stderr
    assert not (system.root / "root/kexec/handover.tmp").exists()
    assert not any(call.startswith(("sleep", "-e")) for call in system.calls)


def test_it_returns_and_boots_six_seconds_later(system: RescueSystem) -> None:
    done = system.run("--kexec-extra-flags", "--reset-vga")
    assert done.stdout.splitlines()[-1] == "machine will boot into nixos in 6s..."
    deadline = time.monotonic() + 20
    while system.calls[-1] != "-e --reset-vga" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert system.calls[-2:] == ["sleep 6", "-e --reset-vga"]
