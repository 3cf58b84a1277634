"""What the commands need of the system: how it is found, its Debian package, the cost without."""

from __future__ import annotations

import glob
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """Something of the system: a program on PATH, or a file where it has no program."""

    name: str
    package: str
    purpose: str
    without: str
    files: tuple[str, ...] = ()

    def is_there(self) -> bool:
        """Whether this machine has it."""
        if self.files:
            return any(glob.glob(pattern) for pattern in self.files)  # noqa: PTH207 - absolute
        return shutil.which(self.name) is not None

    def lack(self) -> str:
        """The line that says what its absence costs."""
        return f"no {self.name} (Debian's {self.package}): {self.without}"


class PythonVenv(Need):
    """The part of Python that makes virtual environments; Debian ships it apart."""

    __slots__ = ()

    def is_there(self) -> bool:
        """Whether the interpreter that runs this has it."""
        return importlib.util.find_spec("ensurepip") is not None


PYTHON = (
    PythonVenv(
        "venv module",
        f"python{sys.version_info.major}.{sys.version_info.minor}-venv",
        "the Python packages",
        "the Python packages can't be installed",
    ),
)

BUILDING = (
    Need("nix", "nix-bin", "building", "no image can be built; pages and old releases work"),
    Need(
        "CA certificates",
        "ca-certificates",
        "building",
        "Nix can't fetch over HTTPS; of the channels only demo can be built",
        files=(
            os.environ.get("NIX_SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
            "/etc/pki/tls/certs/ca-bundle.crt",
        ),
    ),
)


def _qemu(program: str, package: str, system: str) -> Need:
    cost = f"releases for {system} fail their boot check and are not published"
    return Need(program, package, "boot checks", cost)


def _firmware(name: str, package: str, file: str) -> Need:
    cost = "checks that boot with it fail, and releases that wait for them are not published"
    return Need(name, package, "boot checks", cost, (file,))


BOOTING = (
    _qemu("qemu-system-x86_64", "qemu-system-x86", "x86_64-linux"),
    _qemu("qemu-system-aarch64", "qemu-system-arm", "aarch64-linux"),
    _firmware("UEFI firmware for x86_64", "ovmf", "/usr/share/OVMF/OVMF_CODE*.fd"),
    _firmware(
        "UEFI firmware for aarch64",
        "qemu-efi-aarch64",
        "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
    ),
    _firmware("iPXE for UEFI", "ipxe", "/usr/lib/ipxe/ipxe.efi"),
    _firmware("iPXE's network card ROMs", "ipxe-qemu", "/usr/lib/ipxe/qemu/efi-virtio.rom"),
    Need(
        "ssh",
        "openssh-client",
        "boot checks",
        "checks by kexec fail: nobody can look whether keys came across",
    ),
    Need(
        "ssh-keygen",
        "openssh-client",
        "signatures",
        "nothing can be signed, and so nothing is published",
    ),
    Need(
        "setpriv",
        "util-linux",
        "boot checks",
        "a worker that is killed leaves its builds and boots running",
    ),
)

# The wheel with the embedded server is made for these two; elsewhere the system's has to serve.
_HAS_EMBEDDED_REDIS = platform.machine() in {"x86_64", "aarch64"} or bool(
    os.environ.get("REDIS_URL")
)
REDIS = (
    ()
    if _HAS_EMBEDDED_REDIS
    else (Need("redis-server", "redis-server", "the queue", "nothing can be built"),)
)

RUN = (*BUILDING, *BOOTING, *REDIS)


def _test(name: str, package: str, *files: str) -> Need:
    return Need(name, package, "tests", f"the tests that use {name} fail", files)


LINT = (
    Need("shellcheck", "shellcheck", "lint", "the shell scripts are not checked"),
    Need("nix-instantiate", "nix-bin", "lint", "the Nix files are not checked"),
    Need("mandoc", "mandoc", "lint", "the manual page is not checked"),
    Need("xgettext", "gettext", "lint", "nobody sees which texts are not translated"),
)

TEST = (
    *RUN,
    _test("chromium", "chromium"),
    _test("npm", "npm"),
    _test("libatomic, for playwright's driver", "libatomic1", "/usr/lib/*/libatomic.so.1"),
    _test("shellcheck", "shellcheck"),
    _test("dash", "dash"),
    _test("busybox", "busybox-static"),
    _test("cpio", "cpio"),
    _test("xz", "xz-utils"),
    _test("file", "file"),
    _test("git", "git"),
    _test("curl", "curl"),
    _test("wget", "wget"),
    _test("ssh-keygen", "openssh-client"),
    _test("openssl", "openssl"),
    _test("minisign", "minisign"),
    _test("dnsmasq", "dnsmasq-base"),
    _test("grub-script-check", "grub-common"),
    _test("aria2c", "aria2"),
    _test("xmllint", "libxml2-utils"),
    _test("gpg", "gpg"),
    _test("gpgv", "gpgv"),
    _test("promtool", "prometheus"),
    _test("mandoc", "mandoc"),
    _test("diffoscope", "diffoscope-minimal"),
    _test("zsh", "zsh"),
    _test("fish", "fish"),
    _test("nginx", "nginx-light", "/usr/sbin/nginx"),
    _test("ip", "iproute2"),
    _test("envsubst", "gettext-base"),
    _test("systemd-analyze", "systemd"),
    _test("docker-compose", "docker-compose"),
    _test("PostgreSQL", "postgresql", "/usr/lib/postgresql/*/bin/postgres"),
)


BENCH = (
    *RUN,
    Need(
        "nginx",
        "nginx-light",
        "bench",
        "the production shape is not measured",
        ("/usr/sbin/nginx",),
    ),
    Need("wrk", "wrk", "bench", "requests a second are not measured"),
    Need("openssl", "openssl", "bench", "the production shape is not measured"),
    Need(
        "PostgreSQL",
        "postgresql",
        "bench",
        "load and growth are not measured",
        ("/usr/lib/postgresql/*/bin/postgres",),
    ),
)


def missing(needs: Iterable[Need]) -> list[Need]:
    """Those that this machine lacks."""
    return [need for need in needs if not need.is_there()]
