"""Kexec tarballs that hold next to nothing."""

from __future__ import annotations

import gzip
import io
import tarfile


def tarball(run: bytes = b"#!/bin/sh\n", name: str = "kexec/run", level: int = 0) -> bytes:
    """One that holds this file alone; at level 0 it is packed without being made smaller."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(run), 0o755
        tar.addfile(member, io.BytesIO(run))
    return gzip.compress(buffer.getvalue(), compresslevel=level, mtime=0)


def written(path: str, name: str = "kexec/run") -> str:
    """The line of a shell script that writes one."""
    octal = "".join(f"\\{byte:03o}" for byte in tarball(name=name, level=9))
    return f"printf '{octal}' > {path}"
