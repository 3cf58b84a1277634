"""The mini image: what a NixOS image has, on both systems, the same bytes every time."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from django.conf import settings

from builds.builders.contents import listed
from builds.builders.products import read_products
from builds.choices import System, Variant

NIX = (
    "nix",
    *("--extra-experimental-features", "nix-command flakes"),
    *("--option", "build-users-group", ""),
    *("--option", "substituters", ""),
)
FLAKE = f"path:{settings.BASE_DIR}/images/mini"
# Kernel, initrd, GRUB and the tools are derivations of their own, which the last one only uses.
PARTS = ("kernel", "initrd", "tools", "grub", *Variant)


def nix(*arguments: str) -> str:
    done = subprocess.run([*NIX, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(system: System, variant: str) -> tuple[str, Path]:
    """The derivation and the output of one variant."""
    answer = nix("build", "--json", "--no-link", f"{FLAKE}#packages.{system}.{variant}")
    [one] = json.loads(answer)
    return one["drvPath"], Path(one["outputs"]["out"])


@pytest.mark.parametrize("system", System)
def test_netboot_has_kernel_initrd_and_a_script_that_names_them(system: System) -> None:
    _, output = built(system, "netboot")

    names = {path.name for path in output.iterdir()} - {"nix-support"}
    assert names == {system.kernel_name, f"initrd-{system}", f"netboot-{system}.ipxe"}
    script = (output / f"netboot-{system}.ipxe").read_text()
    assert script.startswith("#!ipxe\n")
    assert f"kernel {system.kernel_name} " in script
    assert f"initrd=initrd-{system}" in script
    assert "${cmdline}" in script
    image = json.loads((output / "nix-support" / "image.json").read_text())
    assert image["version"]
    assert image["kernel_version"]


@pytest.mark.parametrize("system", System)
def test_images_list_the_packages_that_they_have_files_of(system: System) -> None:
    lock = json.loads((settings.BASE_DIR / "images/mini/inputs.json").read_text())
    pinned = lock["systems"][system]
    inside = {variant: listed(built(system, variant)[1]) for variant in Variant}
    base = {"busybox-static", pinned["kernel"], *pinned["programs"]["dropbear"]["packages"]}
    more = {
        Variant.NETBOOT: set(),
        Variant.ISO: {*pinned["grub"]},
    }
    for variant, components in inside.items():
        kexec = {*pinned["programs"]["kexec"]["packages"]}
        assert {each.name for each in components} == base | more.get(variant, kexec)
        for each in components:
            package = pinned["packages"][each.name]
            assert (each.version, each.sha256) == (package["version"], package["sha256"])


@pytest.mark.parametrize("system", System)
def test_kexec_tarball_holds_one_folder_with_what_it_needs(system: System) -> None:
    _, output = built(system, "kexec-installer")

    with tarfile.open(output / f"nixos-kexec-installer-{system}.tar.gz") as tarball:
        members = {member.name.rstrip("/"): member for member in tarball.getmembers()}
    assert {name.split("/")[0] for name in members} == {"kexec"}
    for name in ("run", "kexec", "ip", "bzImage", "initrd"):
        assert members[f"kexec/{name}"].isfile()
    for name in ("run", "kexec", "ip"):
        assert members[f"kexec/{name}"].mode & 0o111
    assert {member.uid for member in members.values()} == {0}


def names(system: System, variant: Variant) -> set[str]:
    """The files that the portal would hand out of a variant."""
    _, output = built(system, variant)
    store = [Path("/nix/store")]
    return {product.name for product in read_products(output, variant, store, pytest.fail)}


@pytest.mark.parametrize("system", System)
def test_files_have_the_names_that_users_know(system: System) -> None:
    tarball = f"nixos-kexec-installer-{system}.tar"
    assert names(system, Variant.KEXEC_INSTALLER) == {f"{tarball}.gz", f"{tarball}.xz"}
    assert names(system, Variant.KEXEC_INSTALLER_NONINTERACTIVE) == {
        f"nixos-kexec-installer-noninteractive-{system}.tar.gz"
    }
    assert names(system, Variant.KEXEC_BUNDLE) == {f"kexec-bundle-{system}"}
    assert names(system, Variant.ISO) == {f"nixos-installer-{system}.iso"}


@pytest.mark.parametrize("system", System)
def test_both_compressions_hold_the_same_tarball(system: System) -> None:
    _, output = built(system, Variant.KEXEC_INSTALLER)
    stem = output / f"nixos-kexec-installer-{system}.tar"

    with gzip.open(f"{stem}.gz") as one, lzma.open(f"{stem}.xz") as other:
        assert one.read() == other.read()


def test_bundle_verifies_and_runs_what_it_brought(tmp_path: Path) -> None:
    _, output = built(System.X86_64, Variant.KEXEC_BUNDLE)

    done = subprocess.run(
        [output / f"kexec-bundle-{System.X86_64}", "--help"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("usage: run ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", System)
def test_iso_starts_as_a_cd_and_as_a_disk(system: System) -> None:
    _, output = built(system, Variant.ISO)
    iso = (output / f"nixos-installer-{system}.iso").read_bytes()

    catalog = int.from_bytes(iso[17 * 2048 + 0x47 :][:4], "little") * 2048
    platforms = [iso[catalog + 1]] + ([iso[catalog + 65]] if system is System.X86_64 else [])
    assert platforms == ([0x00, 0xEF] if system is System.X86_64 else [0xEF])
    assert iso[510:512] == b"\x55\xaa"
    assert iso[512:520] == b"EFI PART"
    assert any(iso[:446]) is (system is System.X86_64), "BIOS starts the program of the MBR"


@pytest.mark.parametrize("system", System)
def test_gzip_carries_no_name_and_no_time(system: System) -> None:
    _, netboot = built(system, "netboot")
    _, tarball = built(system, "kexec-installer")

    for path in (netboot / f"initrd-{system}", tarball / f"nixos-kexec-installer-{system}.tar.gz"):
        head = path.read_bytes()[:10]
        assert head[:3] == b"\x1f\x8b\x08"
        assert head[3:8] == bytes(5), "flags and time of the header are empty"
        with gzip.open(path) as file:
            assert file.read(1)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("system", System)
def test_every_part_is_the_same_bytes_when_it_is_built_again(system: System) -> None:
    checked = set()
    for variant in Variant:
        derivation, _ = built(system, variant)
        needed = subprocess.run(
            ["nix-store", "--query", "--requisites", derivation],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        checked |= {path for path in needed if re.search(r"-mini-.*\.drv$", path)}
    parts = {re.sub(r".*?-mini-(.*?)-(x86_64|aarch64)-linux.*", r"\1", path) for path in checked}
    assert parts == set(PARTS)

    for derivation in sorted(checked):
        # Nix compares the outputs, and fails where a byte differs.
        subprocess.run(
            [
                *("nix-store", "--realise", "--check", derivation),
                *("--option", "build-users-group", ""),
                *("--option", "substituters", ""),
            ],
            capture_output=True,
            check=True,
        )


def test_bytes_are_the_same_without_the_sandbox() -> None:
    attribute = f"{FLAKE}#packages.{System.X86_64}.netboot"

    nix("build", "--no-link", "--rebuild", "--option", "sandbox", "false", attribute)


def test_kernel_and_initrd_are_the_same_in_netboot_and_tarball() -> None:
    _, netboot = built(System.X86_64, "netboot")
    _, output = built(System.X86_64, "kexec-installer")

    same = {"bzImage": System.X86_64.kernel_name, "initrd": f"initrd-{System.X86_64}"}
    with tarfile.open(output / f"nixos-kexec-installer-{System.X86_64}.tar.gz") as tarball:
        for inside, beside in same.items():
            member = tarball.extractfile(f"kexec/{inside}")
            assert member is not None
            assert member.read() == (netboot / beside).read_bytes()
