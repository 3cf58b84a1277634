"""A real QEMU boots programs of a few bytes; every way that a boot can end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builds.choices import System, Verdict
from builds.emulator.machine import Firmware, Forward, Machine
from builds.emulator.ssh import banner
from builds.emulator.stubs import SectorEnd, arm64_image, boot_disk
from builds.emulator.watch import BootCancelled, BootFailed, Watched, boot
from builds.tests.emulator.machines import TCG
from builds.tests.processes import processes_with

MARKER = "demo is up: x86_64-linux 1"

Machines = Callable[..., Machine]


@pytest.fixture
def pc(tmp_path: Path) -> Machines:
    """A PC that says something from its boot sector."""

    def make(text: str | bytes, end: SectorEnd = SectorEnd.HALT) -> Machine:
        said = text.encode() if isinstance(text, str) else text
        disk = tmp_path / "disk.img"
        disk.write_bytes(boot_disk(said, end))
        return Machine(System.X86_64, memory=64, cpus=1, firmware=Firmware.BIOS, disk=disk)

    return make


def test_marker_on_the_console_is_a_pass(pc: Machines) -> None:
    result = boot(pc(f"Hello\r\n{MARKER}\r\n"), MARKER, timeout=20, using=TCG)
    assert result.verdict == Verdict.PASSED
    assert result.reason == f"The console said: {MARKER}"
    assert 0 < result.seconds < 20
    assert result.accelerator == "tcg"
    assert "Hello\r\n" in result.console


def test_marker_right_before_the_end_is_a_pass(pc: Machines) -> None:
    assert boot(pc(MARKER, SectorEnd.REBOOT), MARKER, 20, using=TCG).verdict == Verdict.PASSED


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("[1.0] Kernel panic - not syncing: VFS: no root\r\n", Verdict.PANICKED),
        ("You are in emergency mode. After logging in", Verdict.EMERGENCY),
        ("Give root password for maintenance\r\n", Verdict.EMERGENCY),
        ("An error occurred in stage 1 of the boot process", Verdict.EMERGENCY),
        ("BusyBox v1.36\r\n(initramfs) ", Verdict.EMERGENCY),
    ],
)
def test_bad_end_is_known_by_its_words(pc: Machines, said: str, verdict: Verdict) -> None:
    result = boot(pc(said), MARKER, timeout=20, using=TCG)
    assert result.verdict == verdict
    assert result.seconds < 15
    assert "\n" not in result.reason


def test_machine_that_is_up_but_answers_nobody_hangs(pc: Machines) -> None:
    machine = replace(pc(MARKER), forwards=(Forward(0, 22),))

    def answers(watched: Watched) -> None:
        port = watched.guest.port(22)
        watched.until(lambda: banner(port), "an ssh server greeted")

    result = boot(machine, MARKER, timeout=8, using=TCG, then=answers)
    assert result.verdict == Verdict.HUNG
    assert result.reason.startswith("8 seconds went by before an ssh server greeted.")


def test_end_of_a_machine_that_was_up_is_told_as_what_it_is(pc: Machines) -> None:
    def never(watched: Watched) -> None:
        watched.until(lambda: None, "something came true")

    panicking = pc(f"{MARKER}\r\nKernel panic - not syncing: Fatal exception\r\n")
    result = boot(panicking, MARKER, timeout=20, using=TCG, then=never)
    assert result.verdict == Verdict.PANICKED
    assert result.reason == "The console said: Kernel panic - not syncing: Fatal exception"


def test_panic_is_told_by_its_whole_line_however_slowly_that_comes(pc: Machines) -> None:
    def in_two_pieces(watched: Watched) -> None:
        watched.guest.send("Kernel panic - not syncing")
        threading.Timer(0.6, watched.guest.send, [": Fatal exception\n"]).start()
        watched.until(lambda: None, "something came true")

    echoing = pc(f"{MARKER}\r\n", SectorEnd.ECHO)
    result = boot(echoing, MARKER, timeout=20, using=TCG, then=in_two_pieces)
    assert result.verdict == Verdict.PANICKED
    assert result.reason == "The console said: Kernel panic - not syncing: Fatal exception"


def test_machine_that_ends_early_is_told(pc: Machines) -> None:
    result = boot(pc("bye\r\n", SectorEnd.REBOOT), MARKER, timeout=20, using=TCG)
    assert result.verdict == Verdict.ENDED
    assert "bye" in result.console


def test_machine_without_a_sign_of_life_hangs_until_the_timeout(pc: Machines) -> None:
    started = time.monotonic()
    result = boot(pc("still here\r\n"), MARKER, timeout=2, using=TCG)
    assert result.verdict == Verdict.HUNG
    assert 2 <= result.seconds < 4
    assert time.monotonic() - started < 16  # it is booted twice
    assert "The boot before this one" in result.reason


def test_machine_that_hung_once_under_emulation_is_booted_again(pc: Machines) -> None:
    boots = []

    def answers(watched: Watched) -> None:
        boots.append(watched)
        if len(boots) == 1:
            raise BootFailed(Verdict.HUNG, "Nobody answered.")

    result = boot(pc(MARKER), MARKER, timeout=20, using=TCG, then=answers)

    assert result.verdict == Verdict.PASSED
    assert "The boot before this one, emulated as well, hung." in result.reason
    assert len(boots) == 2


def test_marker_is_plain_text_not_a_pattern(pc: Machines) -> None:
    assert boot(pc("demoXup"), "demo.up", timeout=1, using=TCG).verdict == Verdict.HUNG


def test_bytes_that_are_no_text_are_replaced(pc: Machines) -> None:
    result = boot(pc(b"\xff\xfe\x1b[31mred\x1b[0m " + MARKER.encode()), MARKER, 20, using=TCG)
    assert result.verdict == Verdict.PASSED
    assert "\ufffd\ufffd\x1b[31mred" in result.console


def test_console_goes_to_a_file_too(pc: Machines, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    boot(pc(MARKER), MARKER, timeout=20, log=log, using=TCG)
    assert MARKER in log.read_text()


def test_cancelled_boot_leaves_no_process(pc: Machines) -> None:
    machine = pc("waiting\r\n")
    timer = threading.Timer(1, lambda: None)
    timer.start()
    started = time.monotonic()
    with pytest.raises(BootCancelled):
        boot(machine, MARKER, timeout=60, cancelled=lambda: not timer.is_alive(), using=TCG)
    assert time.monotonic() - started < 6
    assert processes_with(str(machine.disk)) == []


@pytest.mark.parametrize("end", [SectorEnd.HALT, SectorEnd.REBOOT])
def test_no_boot_leaves_a_process(pc: Machines, end: SectorEnd) -> None:
    machine = pc(MARKER, end)
    boot(machine, MARKER, timeout=20, using=TCG)
    assert processes_with(str(machine.disk)) == []


def test_missing_qemu_is_an_error_that_says_what_to_install(
    pc: Machines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = boot(pc(MARKER), MARKER, timeout=5, using=TCG)
    assert result.verdict == Verdict.ERROR
    assert "install the package qemu-system" in result.reason


def test_qemu_that_cannot_start_is_an_error_in_its_own_words(pc: Machines, tmp_path: Path) -> None:
    machine = Machine(
        System.X86_64, firmware=Firmware.BIOS, disk=tmp_path / "absent.img", memory=64
    )
    result = boot(machine, MARKER, timeout=5, using=TCG)
    assert result.verdict == Verdict.ERROR
    assert "absent.img" in result.reason


def test_aarch64_kernel_boots_directly(tmp_path: Path) -> None:
    kernel = tmp_path / "Image"
    kernel.write_bytes(arm64_image(b"demo is up: aarch64-linux 1\r\n"))
    machine = Machine(System.AARCH64, memory=128, cpus=1, kernel=kernel)
    result = boot(machine, "demo is up: aarch64-linux 1", timeout=20, using=TCG)
    assert result.verdict == Verdict.PASSED


def test_aarch64_machine_that_powers_off_is_told(tmp_path: Path) -> None:
    kernel = tmp_path / "Image"
    kernel.write_bytes(arm64_image(b"bye\r\n", power_off=True))
    machine = Machine(System.AARCH64, memory=128, cpus=1, kernel=kernel)
    assert boot(machine, MARKER, timeout=20, using=TCG).verdict == Verdict.ENDED
