"""kexec/run says what would stop it, in each shell, before it changes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.tests.rescue_system import MIB, SHELLS, RescueSystem

KEYS = "ssh-ed25519 AAAA someone\n"


@pytest.fixture(params=SHELLS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> RescueSystem:
    return RescueSystem(tmp_path, SHELLS[request.param])


def refusal(system: RescueSystem, *, user: int = 0) -> list[str]:
    """The reasons that it gives; nothing may have been changed, loaded or left behind."""
    before = listing(system)
    done = system.run(user=user)
    assert done.returncode == 1
    title, *reasons = done.stderr.splitlines()
    assert title == "run: this machine cannot boot into the image; nothing was changed:"
    assert done.stdout == ""
    assert listing(system) == before
    assert [call for call in system.calls if call != "--version"] == []
    assert all(reason.startswith("- ") for reason in reasons)
    return reasons


def listing(system: RescueSystem) -> dict[str, bytes]:
    folder = system.root / "root"
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_healthy_system_without_cpio_and_gzip_boots_into_the_image(system: RescueSystem) -> None:
    for program in ("cpio", "gzip", "getent", "setsid"):
        assert not (system.root / "bin" / program).exists()
    done = system.run()
    assert done.returncode == 0, done.stderr
    assert "machine will boot into nixos" in done.stdout


def test_who_is_not_root_is_told_to_use_sudo(system: RescueSystem) -> None:
    system.root.chmod(0o755)
    reasons = refusal(system, user=1000)
    assert "- you are not root: run it with sudo or doas" in reasons


@pytest.mark.parametrize("mode", ["integrity", "confidentiality"])
def test_lockdown_is_named(system: RescueSystem, mode: str) -> None:
    words = "none integrity confidentiality".replace(mode, f"[{mode}]")
    system.write("sys/kernel/security/lockdown", f"{words}\n")
    [reason] = refusal(system)
    assert "locked down" in reason
    assert "Secure Boot" in reason


def test_kexec_that_is_switched_off_is_named(system: RescueSystem) -> None:
    system.write("proc/sys/kernel/kexec_load_disabled", "1\n")
    [reason] = refusal(system)
    assert "kernel.kexec_load_disabled = 1" in reason


def test_kernel_without_kexec_is_named(system: RescueSystem) -> None:
    (system.root / "proc/sys/kernel/kexec_load_disabled").unlink()
    [reason] = refusal(system)
    assert "built without kexec" in reason


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
        ("proc/1/environ", "PATH=/bin\0container=lxc\0TERM=linux\0", "lxc"),
    ],
)
def test_container_is_named(system: RescueSystem, file: str, text: str, name: str) -> None:
    system.write(file, text)
    assert refusal(system) == [f"- this is a container ({name}): run it on its host"]


def test_missing_right_to_reboot_is_named(system: RescueSystem) -> None:
    system.write("proc/self/status", f"CapEff:\t{0x1FFFFFFFFFF & ~(1 << 22):016x}\n")
    assert refusal(system) == ["- the right to reboot (CAP_SYS_BOOT) is missing"]


@pytest.mark.parametrize("name", ["bzImage", "initrd", "kexec", "ip"])
def test_missing_file_of_the_tarball_is_named(system: RescueSystem, name: str) -> None:
    (system.root / "root/kexec" / name).unlink()
    assert f"- /root/kexec/{name} is missing: unpack the tarball again" in refusal(system)


def test_kexec_of_another_architecture_is_named(system: RescueSystem) -> None:
    system.write("root/kexec/kexec", b"\x7fELF\x02\x01\x01" + bytes(100), 0o755)
    [reason] = refusal(system)
    assert "another architecture" in reason


def test_missing_tool_is_named(system: RescueSystem) -> None:
    (system.root / "bin/cut").unlink()
    assert "- the program cut is missing: install it" in refusal(system)


def test_free_ram_must_hold_kernel_and_twice_the_initrd(system: RescueSystem) -> None:
    system.write("root/kexec/initrd", bytes(20 * MIB * 1024))
    system.memory(MemTotal=512 * MIB, MemAvailable=40 * MIB)
    [reason] = refusal(system)
    assert "only 40 MiB of RAM are free" in reason
    assert "(2 times for a moment)" in reason
    assert "takes 41 MiB" in reason
    system.memory(MemTotal=512 * MIB, MemAvailable=41 * MIB)
    assert system.run().returncode == 0


@pytest.mark.parametrize("mounts", ["rootfs / rootfs rw 0 0", "tmpfs /root tmpfs rw 0 0"])
def test_initrd_counts_once_more_where_its_copy_is_in_ram(
    system: RescueSystem, mounts: str
) -> None:
    system.write("proc/mounts", f"/dev/sda1 / ext4 rw 0 0\n{mounts}\n")
    system.write("root/kexec/initrd", bytes(20 * MIB * 1024))
    system.memory(MemTotal=512 * MIB, MemAvailable=60 * MIB)
    [reason] = refusal(system)
    assert "(3 times for a moment)" in reason
    assert "takes 61 MiB" in reason


def test_old_kernel_that_says_nothing_of_available_ram_is_understood(system: RescueSystem) -> None:
    system.write("root/kexec/initrd", bytes(20 * MIB * 1024))
    system.memory(MemTotal=512 * MIB, MemFree=10 * MIB, Buffers=5 * MIB, Cached=20 * MIB)
    [reason] = refusal(system)
    assert "only 35 MiB of RAM are free" in reason


def test_image_that_needs_more_ram_than_there_is_is_refused(system: RescueSystem) -> None:
    system.image_needs(2560)
    reasons = refusal(system)
    assert reasons == ["- this machine has 2048 MiB of RAM, and the image needs 2560 MiB"]


def test_ram_that_the_kernel_keeps_for_itself_is_no_lack(system: RescueSystem) -> None:
    system.image_needs(2560)
    system.memory(MemTotal=2450 * MIB, MemAvailable=2000 * MIB)
    assert system.run().returncode == 0


def test_all_reasons_are_given_at_once(system: RescueSystem) -> None:
    system.write("proc/sys/kernel/kexec_load_disabled", "1\n")
    system.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    system.memory(MemTotal=128 * MIB, MemAvailable=0)
    system.image_needs(192)
    assert len(refusal(system)) == 3


@pytest.mark.parametrize("words", [["--append"], ["--kexec-extra-flags"], ["--what"], ["here"]])
def test_wrong_argument_is_named_with_the_usage(system: RescueSystem, words: list[str]) -> None:
    done = system.run(*words)
    assert done.returncode == 2
    assert words[0] in done.stderr
    assert system.calls == []
