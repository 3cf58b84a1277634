"""Nix packs the files of an image into products that the portal reads, the same each time."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from builds.builders.contents import listed
from builds.builders.products import kernel_params, read_facts, read_products
from builds.choices import Variant

PACKED = Path(__file__).with_name("packed.nix")
SYSTEM = "x86_64-linux"
PARAMS = (
    "init=/nix/store/00000000000000000000000000000000-nixos-system/init "
    "console=tty0 console=ttyS0,115200"
)
OPTIONS = ("--option", "build-users-group", "", "--option", "sandbox", "false")

Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    parts = tmp_path / "parts"
    (parts / "bin").mkdir(parents=True)
    (parts / "iso").mkdir()
    for name in ("kernel", "initrd", "iso/nixos.iso"):
        (parts / name).write_bytes(Random(name).randbytes(100_000))
    for name in ("bin/kexec", "bin/ip"):
        (parts / name).write_text("#!/bin/sh\n")
        (parts / name).chmod(0o755)

    def build(variant: Variant, *options: str) -> Path:
        arguments = ("--arg", "parts", str(parts), "--argstr", "system", SYSTEM)
        done = subprocess.run(
            ["nix-build", "--no-out-link", *OPTIONS, *options, *arguments, "-A", variant, PACKED],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    return build


def products(output: Path, variant: Variant) -> dict[str, Path]:
    """What the portal finds in an output, by role; of several tarballs, by role and compression."""
    reached = subprocess.run(
        ["nix-store", "--query", "--requisites", output], capture_output=True, text=True, check=True
    )
    closure = [Path(line) for line in reached.stdout.split()]
    found = read_products(output, variant, closure, pytest.fail)
    return {product.name: product.path for product in found}


def test_netboot_is_kernel_initrd_and_script(pack: Pack) -> None:
    output = pack(Variant.NETBOOT)
    found = products(output, Variant.NETBOOT)
    assert set(found) == {f"bzImage-{SYSTEM}", f"initrd-{SYSTEM}", f"netboot-{SYSTEM}.ipxe"}
    assert found[f"netboot-{SYSTEM}.ipxe"].read_text() == (
        "#!ipxe\n"
        f"kernel bzImage-{SYSTEM} initrd=initrd-{SYSTEM} {PARAMS} ${{cmdline}}\n"
        f"initrd --name initrd-{SYSTEM} initrd-{SYSTEM}\n"
        "boot\n"
    )
    listed = read_products(output, Variant.NETBOOT, [Path("/nix/store")], pytest.fail)
    assert kernel_params(listed) == PARAMS


def test_output_says_its_versions(pack: Pack) -> None:
    facts = read_facts(pack(Variant.ISO))
    assert facts.version == "26.05.20260820.b18a4b9"
    assert facts.kernel_version == "6.18.1"


def test_output_lists_what_is_inside_and_does_not_drag_it_along(pack: Pack) -> None:
    output = pack(Variant.NETBOOT)
    [inside] = listed(output)
    assert (inside.name, inside.version, inside.size) == ("nixos-system", "26.05", 4096)
    references = subprocess.run(
        ["nix-store", "--query", "--references", output], capture_output=True, text=True, check=True
    )
    assert inside.place not in references.stdout
    assert "closure-info" not in references.stdout


def test_kexec_tarballs_hold_the_same_folder(pack: Pack) -> None:
    found = products(pack(Variant.KEXEC_INSTALLER), Variant.KEXEC_INSTALLER)
    assert set(found) == {f"nixos-kexec-installer-{SYSTEM}.tar.{end}" for end in ("gz", "xz")}
    for path in found.values():
        with tarfile.open(path) as tar:
            entries = {entry.name: entry for entry in tar}
            run = tar.extractfile("kexec/run").read().decode()
        assert list(entries) == [
            "kexec",
            *(f"kexec/{name}" for name in ("bzImage", "initrd", "ip", "kexec", "run")),
        ]
        assert {(entry.uid, entry.gid, entry.mtime) for entry in entries.values()} == {(0, 0, 1)}
        assert entries["kexec/run"].mode == 0o755
        assert entries["kexec/initrd"].mode == 0o644
        assert f"kernel_params='{PARAMS}'" in run


def test_bundle_runs_what_the_tarball_holds(pack: Pack, tmp_path: Path) -> None:
    found = products(pack(Variant.KEXEC_BUNDLE), Variant.KEXEC_BUNDLE)
    bundle = found[f"kexec-bundle-{SYSTEM}"]
    done = subprocess.run(
        [bundle, "--help"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("usage: run [--append PARAMS]")


def test_iso_has_a_name_that_stays(pack: Pack) -> None:
    found = products(pack(Variant.ISO), Variant.ISO)
    assert set(found) == {f"nixos-installer-{SYSTEM}.iso"}


@pytest.mark.parametrize("variant", [Variant.KEXEC_INSTALLER, Variant.KEXEC_BUNDLE])
def test_packing_again_gives_the_same_bytes(pack: Pack, variant: Variant) -> None:
    pack(variant)
    pack(variant, "--check")


def test_tarball_needs_nothing_else_of_the_store(pack: Pack) -> None:
    output = pack(Variant.KEXEC_INSTALLER)
    references = subprocess.run(
        ["nix-store", "--query", "--references", output], capture_output=True, text=True, check=True
    )
    assert references.stdout.strip() in {"", str(output)}
