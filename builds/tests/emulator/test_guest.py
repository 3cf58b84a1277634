"""A guest that one talks to: its console, its display, its end."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from builds.choices import System
from builds.emulator.console import TAIL_LIMIT, Console
from builds.emulator.guest import Guest, GuestEndedError, GuestError
from builds.emulator.machine import Firmware, Forward, Machine
from builds.emulator.stubs import SectorEnd, boot_disk
from builds.tests.emulator.machines import TCG
from builds.tests.processes import processes_with

ROOT = Path(__file__).parents[3]


def pc(tmp_path: Path, text: bytes, end: SectorEnd) -> Machine:
    disk = tmp_path / "disk.img"
    disk.write_bytes(boot_disk(text, end))
    return Machine(System.X86_64, memory=64, cpus=1, firmware=Firmware.BIOS, disk=disk)


def test_what_is_typed_reaches_the_guest(tmp_path: Path) -> None:
    with Guest(pc(tmp_path, b"ready\r\n", SectorEnd.ECHO), using=TCG) as guest:
        guest.wait_for("ready", timeout=20)
        guest.send("login root\n")
        assert guest.wait_for(r"login \w+\n", timeout=10) == "login root\n"


def test_words_found_once_are_not_found_again(tmp_path: Path) -> None:
    with Guest(pc(tmp_path, b"$ ", SectorEnd.ECHO), using=TCG) as guest:
        guest.wait_for(r"\$ ", timeout=20)
        with pytest.raises(TimeoutError, match=r"within 0\.5 seconds"):
            guest.wait_for(r"\$ ", timeout=0.5)
        guest.send("$ ")
        guest.wait_for(r"\$ ", timeout=10)


def test_long_console_is_held_by_its_end_and_whole_on_disk(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    ours, guests = socket.socketpair()
    console = Console(ours, log)
    said = b"".join(b"line %07d\n" % number for number in range(40_000))
    with guests:
        guests.sendall(said)
        assert console.find(re.compile(rb"line 0039999\n"), timeout=10)
        assert console.find(re.compile(rb"line"), timeout=0.1) is None
    console.close()
    assert console.text.encode() == said[-TAIL_LIMIT:]
    assert log.read_bytes() == said


def test_display_can_be_photographed(tmp_path: Path) -> None:
    picture = tmp_path / "screen.png"
    with Guest(pc(tmp_path, b"ready", SectorEnd.HALT), using=TCG) as guest:
        guest.wait_for("ready", timeout=20)
        guest.screenshot(picture)
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG\r\n")
    assert int.from_bytes(data[16:20]) >= 640


def test_picture_that_cannot_be_saved_is_an_error(tmp_path: Path) -> None:
    with (
        Guest(pc(tmp_path, b"ready", SectorEnd.HALT), using=TCG) as guest,
        pytest.raises(GuestError, match="picture"),
    ):
        guest.screenshot(tmp_path / "absent" / "screen.png")


def test_guest_that_ends_is_noticed_while_we_wait(tmp_path: Path) -> None:
    with Guest(pc(tmp_path, b"bye", SectorEnd.REBOOT), using=TCG) as guest:
        with pytest.raises(GuestEndedError):
            guest.wait_for("never", timeout=20)
        assert guest.ended
        assert guest.console == "bye"


def test_stopped_guest_can_still_be_read_and_stopped_again(tmp_path: Path) -> None:
    machine = pc(tmp_path, b"ready", SectorEnd.HALT)
    with Guest(machine, using=TCG) as guest:
        guest.wait_for("ready", timeout=20)
        guest.stop()
        assert processes_with(str(machine.disk)) == []
        guest.stop()
    assert guest.console == "ready"
    with pytest.raises(GuestEndedError):
        guest.send("anyone?")


def test_error_inside_the_block_ends_the_guest(tmp_path: Path) -> None:
    machine = pc(tmp_path, b"ready", SectorEnd.HALT)
    with pytest.raises(ZeroDivisionError), Guest(machine, using=TCG):
        _ = 1 / 0
    assert processes_with(str(machine.disk)) == []


def test_disk_is_never_written_to(tmp_path: Path) -> None:
    machine = pc(tmp_path, b"ready", SectorEnd.HALT)
    assert machine.disk is not None
    machine.disk.chmod(0o444)
    before = machine.disk.read_bytes()
    with Guest(machine, using=TCG) as guest:
        guest.wait_for("ready", timeout=20)
    assert machine.disk.read_bytes() == before


def test_paths_with_commas_and_spaces_are_taken_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "a, b=c"
    folder.mkdir()
    with Guest(pc(folder, b"ready", SectorEnd.HALT), using=TCG) as guest:
        guest.wait_for("ready", timeout=20)


def test_free_port_is_told_that_leads_into_the_guest(tmp_path: Path) -> None:
    machine = pc(tmp_path, b"ready", SectorEnd.HALT)
    forwarding = replace(machine, forwards=(Forward(0, 22), Forward(0, 80)))
    with Guest(forwarding, using=TCG) as guest:
        ports = {guest.port(22), guest.port(80)}
        assert len(ports) == 2
        for port in ports:
            socket.create_connection(("127.0.0.1", port), 5).close()
        with pytest.raises(GuestError, match="No forward leads to port 23"):
            guest.port(23)


def test_port_that_is_taken_is_an_error_in_words(tmp_path: Path) -> None:
    machine = pc(tmp_path, b"ready", SectorEnd.HALT)
    taken = Machine(
        System.X86_64, firmware=Firmware.BIOS, disk=machine.disk, forwards=(Forward(1, 22),) * 2
    )
    with pytest.raises(GuestError, match=r"could not start: .*hostfwd"), Guest(taken, using=TCG):
        pass


_OWNER = """
    import sys, time
    from pathlib import Path
    from builds.choices import System
    from builds.emulator.guest import Guest
    from builds.emulator.machine import Firmware, Machine
    from builds.tests.emulator.machines import TCG

    disk = Path(sys.argv[1])
    with Guest(Machine(System.X86_64, firmware=Firmware.BIOS, disk=disk), using=TCG) as guest:
        guest.wait_for("ready", timeout=20)
        print("up", flush=True)
        time.sleep(60)
"""


def test_killed_owner_leaves_no_guest_behind(tmp_path: Path) -> None:
    disk = pc(tmp_path, b"ready", SectorEnd.HALT).disk
    command = [sys.executable, "-c", textwrap.dedent(_OWNER), str(disk)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        assert processes_with(f"file={disk}") != []
        owner.kill()
    deadline = time.monotonic() + 5
    while processes_with(str(disk)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(str(disk)) == []
