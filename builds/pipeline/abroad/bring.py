"""Brings the files of one release from a site into the storage; the manifest comes last."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from builds.builders.base import BadProduct
from builds.builders.kexec_tarball import look_into
from builds.outward import NotThere
from builds.pipeline import naming, space
from builds.pipeline.abroad.site import MOST_PAPER, Progress, Site
from builds.pipeline.mirrored import Mirrored, Refused, check_documents
from builds.pipeline.scrub import Expected, difference
from builds.pipeline.signed import check_envelope, signer_of
from builds.points import point
from builds.storage import AlreadyStored, artifacts

MOST_SIGNATURE = 64 * 1024  # bytes
PARTS_KEPT = 7 * 24 * 3600.0  # seconds

Papers = dict[str, bytes]


def fetch_papers(site: Site, found: Mirrored) -> Papers:
    """The manifest, the sums and what signatures there are, by their names.

    Raises Refused where sums and manifest do not agree, and what Site raises.
    """
    sums = naming.sums_name(found.system)
    papers = {
        naming.manifest_name(found.system): found.data,
        sums: site.paper(found.key(sums)),
    }
    for name in sorted(found.paper_names - papers.keys()):
        most = MOST_SIGNATURE if naming.is_signature(name) else MOST_PAPER
        try:
            papers[name] = site.paper(found.key(name), most)
        except NotThere:
            continue
    return papers


def verify(found: Mirrored, papers: Papers, allowed_signers: str) -> str:
    """Whose key both papers are signed with; "" where none is pinned. Raises Refused."""
    if papers.get(naming.sums_name(found.system)) != found.sums:
        raise Refused("its sums file and its manifest do not agree")
    check_documents(found, papers.get)
    if not allowed_signers:
        return ""
    signer = signer_of(papers, naming.unsigned_names(found.system), allowed_signers)
    for name in filter(naming.is_envelope, found.documents):
        check_envelope(name, papers[name], allowed_signers)
    return signer


def bring(site: Site, found: Mirrored, progress: Progress) -> None:
    """Bring the artifacts that the storage lacks, each verified before it gets its name.

    Tarballs come first: where nobody should unpack one, nothing of the release is stored.
    Raises Refused for that, where there is no room for them, or the storage has other bytes there,
    WrongBytes where the site has, OSError where the storage fails, and what Site raises.
    """
    tarballs = found.tarballs
    files = [*tarballs, *(file for file in found.files if file not in tarballs)]
    missing = [file for file in files if not _is_stored(found, file, progress)]
    refuse_if_short(missing)
    for file in missing:
        part = _part(file)
        site.fetch(found.key(file.name), file, part, progress)
        point("follow: file fetched")
        if file in tarballs:
            with part.open("rb") as tarball:
                refuse_tarball(tarball, file.name, lambda: progress(0))
        try:
            artifacts().put_once(found.key(file.name), part, tick=lambda: progress(0))
        except AlreadyStored as error:
            raise Refused(str(error)) from error
        part.unlink()


def store_papers(found: Mirrored, papers: Papers) -> None:
    """Store what stands beside the artifacts; the manifest last, for it says that all are there.

    Raises Refused where another release lies there, OSError where the storage fails.
    """
    manifest = naming.manifest_name(found.system)
    for name in sorted(papers, key=lambda name: (name == manifest, name)):
        if naming.may_be_signed_again(name):
            artifacts().replace(found.key(name), papers[name])  # it may have been signed again
            continue
        try:
            artifacts().write_once(found.key(name), papers[name])
        except AlreadyStored as error:
            raise Refused(str(error)) from error


def refuse_tarball(file: BinaryIO, name: str, tick: Callable[[], None]) -> None:
    """Raise Refused for a tarball that nobody should unpack; `tick` is called between pieces."""
    try:
        look_into(file, name, tick)
    except BadProduct as bad:
        raise Refused(str(bad)) from bad


def drop_old_parts() -> None:
    """Remove what came of downloads that nobody has gone on with for a week."""
    for part in _folder().glob("*.part"):
        if part.stat().st_mtime < time.time() - PARTS_KEPT:
            part.unlink(missing_ok=True)


def counting(told: Callable[[int], None]) -> Progress:
    """Progress that tells the bytes that have come so far."""
    sum_so_far = 0

    def progress(count: int) -> None:
        nonlocal sum_so_far
        sum_so_far += count
        told(sum_so_far)

    return progress


def _is_stored(found: Mirrored, file: Expected, progress: Progress) -> bool:
    key = found.key(file.name)
    return artifacts().exists(key) and not difference(key, file, lambda _size: progress(0))


def refuse_if_short(files: list[Expected]) -> None:
    """Raise Refused where there is no room for these files.

    The largest lies in the data folder until it is whole; a local storage is there as well.
    """
    sizes = [file.size or 0 for file in files]
    is_local = artifacts().local_path("x") is not None
    wanted = max(sizes, default=0) + (sum(sizes) if is_local else 0)
    left = space.free(settings.DATA_DIR) - settings.DISK_FREE_LEAST
    if wanted > left:
        raise Refused(f"it needs {wanted} bytes of room, and {max(left, 0)} are left for it")


def _part(file: Expected) -> Path:
    return _folder() / f"{file.sha256}.part"


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "fetched"
