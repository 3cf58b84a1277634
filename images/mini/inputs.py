#!/usr/bin/env python3
"""Put the mini image's inputs, pinned Debian packages, into the Nix store.

`fetch` is the set-up step before a build; `lock` pins what the archive has today.
inputs.nix asks for the same names and hashes, finds them valid, and downloads nothing.
This is one file, because a byte-code cache beside it would change the flake's hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

LOCK = Path(__file__).resolve().with_name("inputs.json")
ARCHITECTURES = {"x86_64-linux": "amd64", "aarch64-linux": "arm64"}
BUSYBOX = "busybox-static"
# What is started in the image, from the tarball, or by the scripts that pack: the package, and its
# programs.
PROGRAMS = {
    "dropbear": ("dropbear-bin", {"dropbear", "dropbearkey", "dropbearconvert"}),
    "kexec": ("kexec-tools", {"kexec"}),
    "mkimage": ("grub-common", {"grub-mkimage"}),
    "mtools": ("mtools", {"mtools"}),
    "xorriso": ("xorriso", {"xorriso"}),
    "xz": ("xz-utils", {"xz"}),
}
# GRUB's modules for each firmware that an ISO starts from.
GRUB = {
    "x86_64-linux": ["grub-efi-amd64-bin", "grub-pc-bin"],
    "aarch64-linux": ["grub-efi-arm64-bin"],
}


class InputsError(Exception):
    """Something that the person at the terminal can mend; its text is one line."""


class Package(TypedDict):
    version: str
    file: str
    sha256: str


class Program(TypedDict):
    packages: list[str]
    libraries: list[str]


class System(TypedDict):
    kernel: str
    grub: list[str]
    busybox_nar_sha256: str
    packages: dict[str, Package]
    programs: dict[str, Program]


class Lock(TypedDict):
    date: str
    release: str
    systems: dict[str, System]


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up the inputs of the mini image.")
    parser.add_argument("command", choices=["fetch", "lock"])
    parser.add_argument("--cache", type=Path, help="folder that keeps the packages between runs")
    arguments = parser.parse_args()
    try:
        require("nix-store", "install Nix; without it no image can be built")
        with tempfile.TemporaryDirectory(prefix="mini-inputs-") as scratch:
            cache = (arguments.cache or Path(scratch, "debs")).resolve()
            cache.mkdir(parents=True, exist_ok=True)
            {"fetch": fetch, "lock": lock_anew}[arguments.command](cache, Path(scratch))
    except (InputsError, OSError) as error:
        print(f"mini inputs: {error}", file=sys.stderr)
        return 1
    return 0


def say(text: str) -> None:
    print(f"mini inputs: {text}", flush=True)


# --- the two commands ---


def fetch(cache: Path, scratch: Path) -> None:
    """Make every pinned input a valid store path; pin anew where the archive has moved on."""
    lock = read_lock()
    missing = not_in_store(lock)
    if not missing:
        say("all in the Nix store")
    elif all(download(lock, system, missing, cache, scratch) for system in lock["systems"]):
        add_to_store(missing, cache, scratch)
        say(f"{len(missing)} added to the Nix store")
    else:
        lock_anew(cache, scratch)


def lock_anew(cache: Path, scratch: Path) -> None:
    """Pin the archive's current packages, write inputs.json, and add them to the store."""
    old = read_lock() if LOCK.exists() else None
    apts = {system: Apt(system, scratch) for system in ARCHITECTURES}
    lock: Lock = {
        "date": datetime.now(tz=UTC).strftime("%Y%m%d"),
        "release": apts["x86_64-linux"].candidate("base-files").split(".")[0],
        "systems": {system: lock_system(apt, cache, scratch) for system, apt in apts.items()},
    }
    add_to_store(not_in_store(lock), cache, scratch)
    if old and old["systems"] == lock["systems"]:
        say("inputs.json pins the archive's current packages already")
        return
    for line in differences(old, lock):
        say(line)
    write_lock(lock)
    say("inputs.json is rewritten: please commit it")


def download(lock: Lock, system: str, missing: list[Input], cache: Path, scratch: Path) -> bool:
    """Bring the missing packages of `system` into the cache; False where the archive lacks one."""
    wanted = [item for item in missing if item.system == system and not item.is_cached(cache)]
    if not wanted:
        return True
    apt = Apt(system, scratch)
    gone = [item.package for item in wanted if not apt.has(item.package, item.version)]
    if gone:
        say(f"{system}: the archive no longer has the pinned {', '.join(gone)}")
        return False
    say(f"{system}: downloads {len(wanted)} packages")
    debs = apt.download([f"{item.package}={item.version}" for item in wanted])
    for item in wanted:
        shutil.copyfile(debs[item.package], cache / item.file)
        if not item.is_cached(cache):
            raise InputsError(f"apt's {item.package} {item.version} is not the pinned file")
    return True


def differences(old: Lock | None, new: Lock) -> Iterator[str]:
    for system, parts in new["systems"].items():
        before = old["systems"][system]["packages"] if old else {}
        after = parts["packages"]
        for name in sorted(before.keys() | after.keys()):
            was = before[name]["version"] if name in before else "none"
            now = after[name]["version"] if name in after else "none"
            if was != now:
                yield f"{system}: {name}: {was} -> {now}"


# --- the lock ---


def read_lock() -> Lock:
    try:
        lock: Lock = json.loads(LOCK.read_text())
    except ValueError as error:
        raise InputsError(f"{LOCK.name} is not JSON: {error}") from error
    return lock


def write_lock(lock: Lock) -> None:
    new = LOCK.with_suffix(".json.new")
    new.write_text(json.dumps(lock, indent=2) + "\n")
    new.replace(LOCK)


def lock_system(apt: Apt, cache: Path, scratch: Path) -> System:
    kernel = apt.kernel()
    say(f"{apt.system}: downloads the current packages, {kernel} among them")
    roots = [BUSYBOX, *(package for package, _ in PROGRAMS.values())]
    debs = apt.download_with_dependencies(roots)
    unpacked = scratch / "unpacked" / apt.system
    for name, deb in debs.items():
        unpack(deb, unpacked / name)
    programs = {
        program: lock_program(unpacked, package, files)
        for program, (package, files) in PROGRAMS.items()
    }
    data = [kernel, *GRUB[apt.system]]
    debs |= apt.download(data)
    kept = {BUSYBOX, *data}.union(*(program["packages"] for program in programs.values()))
    busybox = busybox_tree(debs[BUSYBOX], apt.system, scratch)
    return {
        "kernel": kernel,
        "grub": GRUB[apt.system],
        "busybox_nar_sha256": output("nix-hash", "--type", "sha256", str(busybox)).strip(),
        "packages": {name: lock_package(name, debs[name], cache) for name in sorted(kept)},
        "programs": programs,
    }


def lock_package(name: str, deb: Path, cache: Path) -> Package:
    fields = output("dpkg-deb", "-W", "--showformat=${Version} ${Architecture}", str(deb))
    version, architecture = fields.split()
    # A name in the Nix store has neither the `%3a` that apt writes for an epoch, nor `~`.
    plain = re.sub(r"[^0-9A-Za-z+.=-]", "-", version.split(":", 1)[-1])
    file = f"{name}_{plain}_{architecture}.deb"
    shutil.copyfile(deb, cache / file)
    return {"version": version, "file": file, "sha256": sha256(deb)}


def lock_program(unpacked: Path, package: str, files: set[str]) -> Program:
    """Find the libraries that the package's `files` need, and the packages that hold these."""
    candidates = {path.name: path for path in sorted(unpacked.rglob("*.so.*")) if path.is_file()}
    needed: dict[str, Path] = {}
    todo = [path for path in (unpacked / package).rglob("*") if path.name in files]
    while todo:
        path = todo.pop()
        content = path.read_bytes() if path.is_file() else b""
        for name, library in candidates.items():
            # An ELF file names a library that it links or opens by a string that ends in NUL.
            if name not in needed and name.encode() + b"\0" in content:
                needed[name] = library
                todo.append(library)
    owners = {library.relative_to(unpacked).parts[0] for library in needed.values()}
    return {"packages": sorted({package, *owners}), "libraries": sorted(needed)}


# --- Debian's archive ---


class Apt:
    """The archive that this machine's apt is set up for, as a machine of `system` sees it.

    It has its own state in `scratch`: it needs no root and leaves the machine's lists alone.
    """

    def __init__(self, system: str, scratch: Path) -> None:
        require("apt-get", "without it, or a --cache that is filled, no mini image can be built")
        self.system = system
        self.folder = scratch / "apt" / system
        for part in ("lists/partial", "cache/archives/partial", "debs"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        say(f"{system}: reads apt's package lists")
        self.run("apt-get", "update")
        if not any((self.folder / "lists").glob("*_Packages*")):
            raise InputsError("apt-get update brought no package lists: is the network there?")

    def run(self, tool: str, *arguments: str) -> str:
        options = {
            "APT::Architecture": ARCHITECTURES[self.system],
            "APT::Architectures": ARCHITECTURES[self.system],
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "true",
            "Dir::Cache": str(self.folder / "cache"),
            "Dir::State::Lists": str(self.folder / "lists"),
            "Dir::State::status": str(self.folder / "status"),
        }
        flags = [flag for key, value in options.items() for flag in ("-o", f"{key}={value}")]
        return output(tool, "-q", *flags, *arguments, folder=self.folder / "debs")

    def candidate(self, package: str) -> str:
        shown = self.run("apt-cache", "show", "--no-all-versions", package)
        version: str = re.findall(r"^Version: (\S+)$", shown, re.MULTILINE)[0]
        return version

    def has(self, package: str, version: str) -> bool:
        known = self.run("apt-cache", "madison", package)
        return any(line.split("|")[1].strip() == version for line in known.splitlines())

    def kernel(self) -> str:
        """Name the package that Debian's kernel metapackage stands for today."""
        meta = f"linux-image-{ARCHITECTURES[self.system]}"
        found = re.search(r"Depends: (linux-image-\d\S+)", self.run("apt-cache", "depends", meta))
        if found is None:
            raise InputsError(f"apt knows no {meta}: the archive is out of reach, or not Debian's")
        return found[1]

    def download(self, packages: list[str]) -> dict[str, Path]:
        self.run("apt-get", "download", *packages)
        return by_package(self.folder / "debs")

    def download_with_dependencies(self, packages: list[str]) -> dict[str, Path]:
        options = ("--download-only", "--no-install-recommends", "-y")
        self.run("apt-get", "install", *options, *packages)
        return by_package(self.folder / "cache" / "archives")


def by_package(folder: Path) -> dict[str, Path]:
    return {deb.name.split("_")[0]: deb for deb in folder.glob("*.deb")}


def busybox_tree(deb: Path, system: str, scratch: Path) -> Path:
    """Lay out bin/busybox: it runs as a builder program only under a name that says busybox."""
    unpacked = scratch / "busybox" / system
    unpack(deb, unpacked)
    tree = scratch / busybox_name(system)
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    program = next(unpacked.rglob("bin/busybox"))
    shutil.copy(program, tree / "bin" / "busybox")
    return tree


def busybox_name(system: str) -> str:
    return f"busybox-{system}"


# --- the Nix store ---


@dataclass(frozen=True)
class Input:
    """One fixed-output store path that comes from one package.

    Packages go in as they are. Of busybox the program goes in, hashed as a NAR so that it stays
    executable: it is the one program that can run before anything is built.
    """

    system: str
    package: str
    version: str
    file: str
    sha256: str
    busybox_nar_sha256: str | None

    @property
    def path(self) -> str:
        """What `nix-store --print-fixed-path` says, without a process for each of the inputs."""
        store = os.environ.get("NIX_STORE_DIR", "/nix/store")
        if self.busybox_nar_sha256:
            name, kind, digest = busybox_name(self.system), "source", self.busybox_nar_sha256
        else:
            name, kind = self.file, "output:out"
            digest = hashlib.sha256(f"fixed:out:sha256:{self.sha256}:".encode()).hexdigest()
        whole = hashlib.sha256(f"{kind}:sha256:{digest}:{store}:{name}".encode()).digest()
        return f"{store}/{nix_base32(whole)}-{name}"

    def is_cached(self, cache: Path) -> bool:
        return (cache / self.file).is_file() and sha256(cache / self.file) == self.sha256


def nix_base32(digest: bytes) -> str:
    """Fold a digest to the 20 bytes of a store path, and write these with Nix's 32 letters."""
    folded = bytearray(20)
    for position, byte in enumerate(digest):
        folded[position % 20] ^= byte
    number = int.from_bytes(folded, "little")
    letters = "0123456789abcdfghijklmnpqrsvwxyz"
    return "".join(letters[number >> 5 * place & 31] for place in reversed(range(32)))


def not_in_store(lock: Lock) -> list[Input]:
    inputs = [
        Input(
            system=system,
            package=name,
            busybox_nar_sha256=parts["busybox_nar_sha256"] if name == BUSYBOX else None,
            **package,
        )
        for system, parts in lock["systems"].items()
        for name, package in parts["packages"].items()
    ]
    paths = [item.path for item in inputs]
    invalid = output("nix-store", "--check-validity", "--print-invalid", *paths).split()
    return [item for item in inputs if item.path in invalid]


def add_to_store(missing: list[Input], cache: Path, scratch: Path) -> None:
    for item in missing:
        if item.busybox_nar_sha256:
            tree = busybox_tree(cache / item.file, item.system, scratch)
            added = output("nix-store", "--add-fixed", "--recursive", "sha256", str(tree))
        else:
            added = output("nix-store", "--add-fixed", "sha256", str(cache / item.file))
        if added.strip() != item.path:
            raise InputsError(f"{item.file} became {added.strip()}, but {item.path} was wanted")


# --- processes and files ---


def require(tool: str, otherwise: str) -> None:
    if shutil.which(tool) is None:
        raise InputsError(f"{tool} is missing: {otherwise}")


def output(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InputsError(f"{command[0]} failed: {last}")
    return done.stdout


def unpack(deb: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    output("dpkg-deb", "-x", str(deb), str(folder))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
