"""Real firmware: UEFI, and iPXE that fetches over HTTP what it boots."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builds.choices import System, Verdict
from builds.emulator import accelerator as accelerators
from builds.emulator.accelerator import accelerator
from builds.emulator.machine import Firmware, Machine
from builds.emulator.stubs import arm64_image, boot_disk
from builds.emulator.watch import boot
from builds.tests.emulator.machines import TCG

_SECTOR = 512


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL under which a guest sees it."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://10.0.2.2:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_ipxe_of_the_network_card_boots_over_http(served: tuple[Path, str]) -> None:
    """iPXE starts a file that it doesn't know as PXE would: as code at 0x7c00."""
    folder, url = served
    (folder / "program").write_bytes(boot_disk(b"booted by ROM")[:_SECTOR])
    machine = Machine(
        System.X86_64,
        memory=128,
        firmware=Firmware.BIOS,
        bootfile=f"{url}/program",
        isolated=False,
    )
    result = boot(machine, "booted by ROM", timeout=60, using=TCG)
    assert result.verdict == Verdict.PASSED, result.console


def test_boot_that_failed_by_the_emulators_own_fault_is_made_again(tmp_path: Path) -> None:
    """The first time the loaded program says what a kernel says whose timer came too late."""
    said = [b"Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot", b"up at last"]
    asked: list[str] = []

    class Moody(Quiet):
        def do_GET(self) -> None:
            program = boot_disk(said[len(asked)])[:_SECTOR]
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(program)))
            self.end_headers()
            self.wfile.write(program)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    machine = Machine(
        System.X86_64,
        memory=128,
        firmware=Firmware.BIOS,
        bootfile=f"http://10.0.2.2:{server.server_port}/program",
        isolated=False,
    )
    result = boot(machine, "up at last", timeout=60, using=TCG)
    server.shutdown()
    server.server_close()
    assert result.verdict == Verdict.PASSED, result.console
    assert len(asked) == 2


def test_ipxe_under_uefi_runs_a_script_over_http(served: tuple[Path, str]) -> None:
    """Its address is longer than DHCP's field for it."""
    folder, url = served
    script = folder / ("long/" * 30) / "boot.ipxe"
    script.parent.mkdir(parents=True)
    script.write_text("#!ipxe\necho booted under ${platform}\n")
    machine = Machine(
        System.X86_64,
        memory=256,
        firmware=Firmware.UEFI,
        bootfile=f"{url}/{script.relative_to(folder)}",
        isolated=False,
    )
    result = boot(machine, "booted under efi", timeout=90, using=TCG)
    assert result.verdict == Verdict.PASSED, result.console


def test_bios_speaks_on_the_serial_port_where_that_is_wanted(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1024 * 1024))
    machine = Machine(
        System.X86_64, memory=64, firmware=Firmware.BIOS, disk=disk, bios_on_serial=True
    )
    result = boot(machine, "never", timeout=90, using=TCG)
    assert result.verdict == Verdict.LOADER, result.console
    assert result.reason == "The loader gave up: Boot failed: not a bootable disk"
    assert result.picture.startswith(b"\x89PNG\r\n")
    assert result.memory == 64


def test_aarch64_firmware_comes_up() -> None:
    machine = Machine(System.AARCH64, memory=256, firmware=Firmware.UEFI)
    result = boot(machine, "UEFI firmware (version", timeout=60, using=TCG)
    assert result.verdict == Verdict.PASSED, result.console


def test_accelerator_is_found_by_trying_and_says_why() -> None:
    found = accelerator(System.X86_64)
    assert found.name in {"kvm", "tcg"}
    assert found.reason.endswith(".")
    assert accelerator(System.X86_64) is not None


def test_foreign_system_is_always_emulated() -> None:
    foreign = next(system for system in System if system.architecture != platform.machine())
    found = accelerator(foreign)
    assert found.name == "tcg"
    assert "can't run" in found.reason


def test_kernel_that_never_ends_rules_kvm_out(tmp_path: Path) -> None:
    """Even where KVM runs the small program: some hang on every Linux."""
    kernel = tmp_path / "kernel"
    kernel.write_bytes(arm64_image(b"") if platform.machine() == "aarch64" else b"?")
    host = System(f"{platform.machine()}-linux")
    try:
        assert accelerator(host, kernel).name == "tcg"
    finally:
        accelerators._tried_kernels.clear()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"append": "quiet"}, "needs a kernel"),
        ({"bootfile": "http://10.0.2.2/x", "firmware": Firmware.BIOS}, "must reach the network"),
        ({}, "needs a kernel"),
        ({"esp": Path("/esp"), "firmware": Firmware.BIOS}, "Only UEFI boots from an ESP"),
        ({"system": System.AARCH64, "firmware": Firmware.BIOS}, "no BIOS"),
        (
            {
                "system": System.AARCH64,
                "firmware": Firmware.UEFI,
                "bootfile": "http://10.0.2.2/x",
                "isolated": False,
            },
            "no iPXE for aarch64",
        ),
    ],
)
def test_machine_that_could_not_start_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Machine(**({"system": System.X86_64} | wrong))  # type: ignore[arg-type]
