"""Images that are broken in one way each are held back, and the words say which."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from builds import pipeline
from builds.choices import CheckName, ReleaseStatus, Role, System, Variant, Verdict
from builds.models import Release
from builds.tests.boots import edits
from builds.tests.boots.drafts import build_image, checked, draft

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

SYSTEM = System.AARCH64  # the quicker one to boot
BROKEN = {
    "no init": (edits.without_init, Verdict.PANICKED, "Kernel panic - not syncing"),
    "an init that ends": (edits.ending_init, Verdict.PANICKED, "Attempted to kill init"),
    "a truncated initrd": (edits.first_tenth, Verdict.PANICKED, "Initramfs unpacking failed"),
    "an initrd that is none": (edits.garbage, Verdict.PANICKED, "Initramfs unpacking failed"),
    "an emergency shell": (edits.emergency_init, Verdict.EMERGENCY, "You are in emergency mode"),
}


def broken(role: Role, edit: edits.Edit, *variants: Variant, system: System = SYSTEM) -> Release:
    """A draft of the mini image in which the file of one role is edited."""
    wanted = variants or (Variant.NETBOOT,)
    return draft(system, {each: build_image(system, each) for each in wanted}, {role: edit})


def held_back(release: Release, name: CheckName, verdict: Verdict, words: str) -> str:
    """Run a check, move the release on; why it failed."""
    check = checked(release, name)
    assert (check.verdict, check.has_failed) == (verdict, True), check.reason + check.console
    assert words in check.reason

    assert pipeline.advance(release, at=timezone.now()) == []
    release.refresh_from_db()
    assert release.status == ReleaseStatus.FAILED
    assert check.reason in release.reason
    return check.reason


@pytest.mark.parametrize("case", BROKEN)
def test_broken_initrd_holds_the_release_back_in_the_kernels_words(case: str) -> None:
    edit, verdict, words = BROKEN[case]
    held_back(broken(Role.INITRD, edit), CheckName.NETBOOT_DIRECT, verdict, words)


def test_initrd_of_another_system_is_told() -> None:
    foreign = dict(build_image(System.X86_64, Variant.NETBOOT).files)[Role.INITRD].read_bytes()
    release = broken(Role.INITRD, lambda _: foreign)
    reason = held_back(release, CheckName.NETBOOT_DIRECT, Verdict.PANICKED, "No working init found")
    assert "Failed to execute /init (error -8)" in reason


def test_image_that_hangs_is_told_with_its_last_words(settings: LazySettings) -> None:
    settings.BOOT_TIME_LIMIT = 20
    release = broken(Role.INITRD, edits.hanging_init)
    reason = held_back(release, CheckName.NETBOOT_DIRECT, Verdict.HUNG, "20 seconds went by")
    assert "Its last words: " in reason


def test_kernel_that_is_none_is_told_in_the_words_of_ipxe() -> None:
    release = broken(Role.KERNEL, edits.garbage, system=System.X86_64)
    held_back(release, CheckName.NETBOOT_BIOS, Verdict.LOADER, "Exec format error")


def test_kernel_that_is_none_is_told_in_the_words_of_grub() -> None:
    release = broken(Role.KERNEL, edits.garbage)
    held_back(release, CheckName.NETBOOT_UEFI, Verdict.LOADER, "error: ")


def test_tarball_that_broke_off_is_told_in_the_words_of_tar() -> None:
    release = broken(Role.TARBALL, edits.first_half, Variant.KEXEC_INSTALLER)
    held_back(release, CheckName.KEXEC_INSTALLER, Verdict.LOADER, "It did not kexec: ")


def test_same_kernel_is_not_taken_for_the_one_that_was_to_be_started() -> None:
    release = broken(Role.TARBALL, edits.impostor, Variant.KEXEC_INSTALLER)
    held_back(release, CheckName.KEXEC_INSTALLER, Verdict.HANDOVER, "The same kernel still runs")


def test_stored_file_with_other_bytes_than_its_row_is_not_booted(storage_folder: Path) -> None:
    release = broken(Role.INITRD, edits.first_half)
    stored = storage_folder / release.key("initrd-aarch64-linux")
    stored.chmod(0o644)
    stored.write_bytes(edits.garbage(stored.read_bytes()))
    reason = held_back(release, CheckName.NETBOOT_DIRECT, Verdict.DAMAGED, "Its SHA-256 is ")
    assert "initrd-aarch64-linux in the storage" in reason


def test_stored_file_that_broke_off_is_not_booted(storage_folder: Path) -> None:
    release = broken(Role.TARBALL, edits.first_half, Variant.KEXEC_INSTALLER)
    stored = storage_folder / release.key("nixos-kexec-installer-aarch64-linux.tar.gz")
    stored.chmod(0o644)
    stored.write_bytes(edits.first_half(stored.read_bytes()))
    held_back(release, CheckName.KEXEC_INSTALLER, Verdict.DAMAGED, " instead of ")
