"""Small edits that break the mini image's real files, each in one way."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

Edit = Callable[[bytes], bytes]
_INIT_BEGINS = b"#!/bin/sh\n# The first process: mounts what the kernel offers"


def repacked(initrd: bytes, old: bytes, new: bytes) -> bytes:
    """An initrd in which one run of bytes is another of the same length."""
    archive = gzip.decompress(initrd)
    assert archive.count(old) == 1
    assert len(old) == len(new)
    return gzip.compress(archive.replace(old, new), compresslevel=1)


def init_says(initrd: bytes, line: bytes) -> bytes:
    """An initrd whose first process runs one line of shell before all else."""
    begins = b"#!/bin/sh\n" + line + b"\n#"
    return repacked(initrd, _INIT_BEGINS, begins.ljust(len(_INIT_BEGINS), b"-"))


def without_init(initrd: bytes) -> bytes:
    """An initrd in which the first process goes by a name that no kernel looks for."""
    return repacked(initrd, b"0000000500000000init\0", b"0000000500000000inti\0")


def ending_init(initrd: bytes) -> bytes:
    """An initrd whose first process ends at once."""
    return init_says(initrd, b"exit 1")


def hanging_init(initrd: bytes) -> bytes:
    """An initrd whose first process goes round in circles."""
    return init_says(initrd, b"while :; do :; done")


def emergency_init(initrd: bytes) -> bytes:
    """An initrd that says what systemd says where it gives up."""
    return init_says(initrd, b"echo You are in emergency mode; read x")


def first_half(data: bytes) -> bytes:
    """What is there of a file that broke off half-way."""
    return data[: len(data) // 2]


def first_tenth(data: bytes) -> bytes:
    """What is there of an initrd that broke off before its first process."""
    return data[: len(data) // 10]


def garbage(data: bytes) -> bytes:
    """A file of the same size that is nothing."""
    return b"\xa5" * len(data)


def impostor(_: bytes) -> bytes:
    """A tarball whose `run` says all that a good one does, and starts no other kernel."""
    run = b"""#!/bin/sh
. /etc/os-release
echo "machine will boot into nixos in 6s..."
echo "mini image is up: $(cat /etc/system) $VERSION" > /dev/console
"""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("kexec/run")
        member.mode, member.size = 0o755, len(run)
        archive.addfile(member, io.BytesIO(run))
    return packed.getvalue()
