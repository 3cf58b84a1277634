"""Real machines that boot by the menu, by a channel, by an address of their own, and by a pipe."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest
from django.utils import timezone

from builds.boot.options import BootOptions
from builds.choices import Role, System, Variant
from builds.emulator.guest import Guest
from builds.emulator.machine import Firmware, Machine
from builds.models import Host, Release
from builds.tests.boots.drafts import Image, build_image, draft
from builds.tests.downloads.conftest import stored_release
from builds.tests.factories import publish_held
from builds.tests.models.rows import channel
from builds.tests.webs import MakeWeb, Web

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
PC = System.X86_64
WAIT = 300.0  # seconds; emulated, beside everything else that runs
VARIANTS = (Variant.NETBOOT, Variant.KEXEC_INSTALLER)
PROMPT = "iPXE>"


@pytest.fixture(scope="module")
def images() -> dict[Variant, Image]:
    return {variant: build_image(PC, variant) for variant in VARIANTS}


@pytest.fixture
def release(database_url: str, images: dict[Variant, Image]) -> Release:
    """The mini image as the default channel's latest, and beside it a channel for aarch64 only."""
    release = draft(PC, images)
    type(release.channel).objects.update(is_default=True)
    publish_held(release, timezone.now())
    assert release.is_published, release.reason
    stored_release(channel("arm-only"), "1.0", System.AARCH64)
    return release


@pytest.fixture
def web(make_web: MakeWeb, release: Release) -> Web:
    """A portal's web process, which finds the release's files in the test's own folder."""
    return make_web()


def guests_url(web: Web, path: str) -> str:
    return f"{web.url.replace('127.0.0.1', '10.0.2.2')}{path}"


def by_ipxe(web: Web, path: str) -> Machine:
    return Machine(
        PC,
        memory=512,
        firmware=Firmware.BIOS,
        bootfile=guests_url(web, path),
        isolated=False,
        bios_on_serial=True,
    )


def type_line(guest: Guest, line: str) -> None:
    """Type as fast as a BIOS reads: its buffer holds fifteen keys."""
    for start in range(0, len(line), 8):
        part = line[start : start + 8]
        guest.send(part)
        guest.wait_for(re.escape(part[-4:]), timeout=WAIT)
    guest.send("\r")


def is_up(release: Release) -> str:
    return re.escape(f"mini image is up: {PC} {release.image_version}")


def test_menu_takes_keys_tells_what_is_missing_and_boots_the_default_by_itself(
    web: Web, release: Release, tmp_path: Path
) -> None:
    with Guest(by_ipxe(web, "/boot.ipxe"), log=tmp_path / "console") as guest:
        guest.wait_for(f"demo: {re.escape(str(release.version))}, 0 minutes old", timeout=WAIT)
        assert "arm-only" not in guest.console
        guest.send("s")
        guest.wait_for(PROMPT, timeout=WAIT)
        # No iPXE for aarch64 is at hand: this one says that it is one.
        for architecture, path, words in (
            ("arm64", "/boot/demo.ipxe", "demo has nothing for aarch64-linux"),
            ("riscv64", "/boot/demo.ipxe", "machines of the architecture riscv64"),
            ("arm64", "/boot.ipxe", "arm-only: 1.0"),
        ):
            type_line(guest, f"set buildarch {architecture}")
            guest.wait_for(PROMPT, timeout=WAIT)
            type_line(guest, f"chain {guests_url(web, path)}")
            guest.wait_for(words, timeout=WAIT)
            if path == "/boot.ipxe":
                guest.send("s")
            guest.wait_for(PROMPT, timeout=WAIT)
        type_line(guest, "clear buildarch && set cmdline test.word && set menu-timeout 3000")
        guest.wait_for(PROMPT, timeout=WAIT)
        type_line(guest, f"chain {guests_url(web, '/boot.ipxe')}")
        guest.wait_for(r"Command line: .*console=ttyS0.* test\.word", timeout=WAIT)
        guest.wait_for(is_up(release), timeout=WAIT)


def test_host_boots_once_with_its_options_and_then_leaves_the_machine_to_its_disk(
    web: Web, release: Release, tmp_path: Path
) -> None:
    options = BootOptions.parse({"hostname": "rescue-7", "params": "test.word=a,b"})
    host = Host.objects.create(
        name="rescue-7", channel=release.channel, options=options.texts, boots_once=True
    )
    machine = by_ipxe(web, f"/boot/host/{host.token}.ipxe")
    with Guest(machine, log=tmp_path / "first") as guest:
        guest.wait_for(is_up(release), timeout=WAIT)
        guest.wait_for("mini:", timeout=WAIT)
        guest.send("echo name=$(hostname) ; cat /proc/cmdline\n")
        guest.wait_for("name=rescue-7", timeout=WAIT)
        guest.wait_for(r"console=ttyS0.* test\.word=a,b", timeout=WAIT)
    host.refresh_from_db()
    assert host.booted_at is not None
    assert host.seen_address == "127.0.0.1"
    with Guest(machine, log=tmp_path / "second") as guest:
        guest.wait_for("rescue-7 was booted on ", timeout=WAIT)
        guest.wait_for("Booting from Hard Disk", timeout=WAIT)
        assert "mini image" not in guest.console


def test_running_linux_is_kexecd_by_a_pipe_from_wget(
    web: Web, release: Release, tmp_path: Path
) -> None:
    files = {}
    for artifact in release.artifacts.filter(role__in=[Role.KERNEL, Role.INITRD]):
        files[artifact.role] = tmp_path / artifact.name
        urllib.request.urlretrieve(f"{web.url}/{artifact.key}", files[artifact.role])
    machine = Machine(
        PC,
        memory=512,
        kernel=files[Role.KERNEL],
        initrd=files[Role.INITRD],
        append="console=ttyS0",
        isolated=False,
    )
    with Guest(machine, log=tmp_path / "console") as guest:
        guest.wait_for(is_up(release), timeout=WAIT)
        guest.wait_for("mini:", timeout=WAIT)
        online = "for i in $(seq 60); do ip route | grep -q ^default && break; sleep 1; done"
        line = f"wget -qO- {guests_url(web, '/k/demo')} | sh -s -- --append test.word=piped"
        guest.send(f"{online}; {line}\n")
        guest.wait_for(f"nixos-images: demo {re.escape(str(release.version))} for {PC}", WAIT)
        guest.wait_for("nixos-images: verified", timeout=WAIT)
        guest.wait_for("machine will boot into nixos", timeout=WAIT)
        guest.wait_for(is_up(release), timeout=WAIT)
        guest.wait_for("mini:", timeout=WAIT)
        guest.send("cat /proc/cmdline\n")
        guest.wait_for(r"test\.word=piped", timeout=WAIT)
