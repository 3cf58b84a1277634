"""Packs releases into a tar that can be carried: the same releases give the same bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from builds.models import Release
from builds.pipeline import documents, naming
from builds.pipeline.mirrored import Refused
from builds.pipeline.scrub import Expected, expected
from builds.storage import artifacts

Told = Callable[[str, int, int], object]  # of what, bytes that are done, bytes in all


class Hashed(io.RawIOBase):
    """Bytes on their way; at their end it refuses others than were promised."""

    def __init__(self, source: BinaryIO, file: Expected, read: Callable[[int], object]) -> None:
        super().__init__()
        self._source = source
        self._file = file
        self._told = read
        self._digest = hashlib.sha256()
        self._left = file.size or 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all that are left; raises Refused at the end of wrong ones."""
        wanted = self._left if size < 0 else min(size, self._left)
        block = bytearray()
        while wanted > len(block):
            more = self._source.read(wanted - len(block))
            if not more:
                raise Refused(f"{self._file.name} is damaged: {self._left} bytes are missing")
            block += more
            self._left -= len(more)
        self._digest.update(block)
        self._told(len(block))
        if not self._left and self._digest.hexdigest() != self._file.sha256:
            raise Refused(f"{self._file.name} is damaged: its SHA-256 is not {self._file.sha256}")
        return bytes(block)


def pack(releases: Iterable[Release], target: Path, *, told: Told = lambda *_: None) -> list[str]:
    """Write releases into a new tar, the oldest first; the names of its members.

    Names are the keys of the storage, so that it can be unpacked as a mirror. A release's
    manifest comes first, then sums and signatures, then files. Raises Refused where a stored file
    is damaged or missing, OSError where storage or disk fail; then there is no tar.
    """
    part = target.with_name(f"{target.name}.part")
    names = []
    try:
        with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
            for release in releases:
                names += [_add(tar, release, file, told) for file in _files(release)]
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return names


def _files(release: Release) -> Iterator[Expected]:
    """Its files, the manifest first; what stands on no record has the digest that it has."""
    papers = sorted(release.papers, key=lambda name: (not naming.is_manifest(name), name))
    known = {file.name: file for file in expected(release)}
    for name in papers:
        size = len(artifacts().read(release.key(name)) or b"")
        yield Expected(name, known.pop(name).sha256, size)
    # What a manifest does not name is no provenance of it.
    unnamed = {*papers, *naming.document_names(release.system)}
    for name in sorted(naming.paper_names(release.system) - unnamed):
        data = artifacts().read(release.key(name))
        if data:
            yield Expected(name, documents.digest(data), len(data))
    yield from sorted(known.values(), key=lambda file: file.name)


def _add(tar: tarfile.TarFile, release: Release, file: Expected, told: Told) -> str:
    key = release.key(file.name)
    member = tarfile.TarInfo(key)
    member.size = file.size or 0
    # What a manifest can't say: when it was published.
    member.mtime = int(release.published_at.timestamp()) if release.published_at else 0
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        told(key, done, member.size)

    try:
        with artifacts().open_range(key, 0, member.size) as source:
            tar.addfile(member, cast("BinaryIO", Hashed(source, file, count)))
    except FileNotFoundError:
        raise Refused(f"{key} is missing in the storage") from None
    except ValueError as error:
        raise Refused(f"{key} does not fit into a tar: {error}") from error
    return key
