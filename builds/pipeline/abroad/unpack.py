"""Takes releases out of a tar that was carried here: all of it is verified, then it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from builds.choices import ReleaseStatus, TransferKind
from builds.models import Channel, Release
from builds.pipeline import naming
from builds.pipeline.abroad.bring import (
    MOST_SIGNATURE,
    Papers,
    refuse_if_short,
    refuse_tarball,
    store_papers,
    verify,
)
from builds.pipeline.abroad.members import Member, members
from builds.pipeline.abroad.pack import Hashed, Told
from builds.pipeline.abroad.site import MOST_PAPER
from builds.pipeline.mirrored import Mirrored, Refused, parsed
from builds.pipeline.scrub import Expected
from builds.pipeline.taken import WRONG, Outcome, Source, channel_for, rehearse, take_in
from builds.points import point
from builds.storage import AlreadyStored, artifacts

_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Carried:
    """A release in a tar: what it is, its papers, where its files are, and who signed it."""

    found: Mirrored
    papers: Papers
    members: dict[str, Member]
    signer: str

    @property
    def line(self) -> dict[str, Any]:
        """What is known of it beside its manifest: when it was published."""
        return {
            "status": ReleaseStatus.PUBLISHED,
            "published_at": self.found.modified_at.astimezone(UTC).isoformat(),
        }


def unpack(
    path: Path, *, allowed_signers: str, at: datetime, told: Told = lambda *_: None
) -> Iterator[Outcome]:
    """Verify every member, then publish what is new here; what came of each release.

    Raises Refused where anything in the tar is not as it should be, before anything is written;
    OSError where storage or disk fail. What broke off is finished by doing it again.
    """
    with path.open("rb") as tar:
        carried = _carried(tar, allowed_signers)
        new = [each for each in carried if not _is_known(each.found)]
        rehearse(((each.found, each.line) for each in new), at=at)
        for each in new:
            _verify_files(tar, each, told)
        for each in carried:
            if each not in new:
                yield Outcome("known", f"{each.found}: it is here already, nothing was done")
        refuse_if_short([file for each in new for file in each.found.files])
        for each in new:
            yield from _take(tar, path.name, each, told, at)


def _carried(tar: BinaryIO, allowed_signers: str) -> list[Carried]:
    """The releases of a tar, the oldest first; every member belongs to one of them."""
    listed = members(tar)
    by_key = {member.key: member for member in listed}
    carried = [
        _release(tar, member, by_key, allowed_signers)
        for member in listed
        if naming.is_manifest(member.name)
    ]
    named = {member.key for each in carried for member in each.members.values()}
    named |= {each.found.key(name) for each in carried for name in each.papers}
    for member in listed:
        if member.key not in named:
            raise Refused(f"{member.key} is named by no manifest of the tar")
    if not carried or not naming.is_manifest(listed[0].name):
        raise Refused("it does not begin with the manifest of a release")
    return sorted(carried, key=lambda each: (each.found.channel, each.found.sequence))


def _release(
    tar: BinaryIO, member: Member, by_key: dict[str, Member], allowed_signers: str
) -> Carried:
    try:
        found = parsed(member.key, _small(tar, member, MOST_PAPER), member.modified_at)
    except (Refused, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(f"{member.key}: {error}") from error
    papers = {}
    for name in sorted(found.paper_names):
        paper = by_key.get(found.key(name))
        if paper is not None:
            most = MOST_SIGNATURE if naming.is_signature(name) else MOST_PAPER
            papers[name] = _small(tar, paper, most)
    files = {}
    for file in found.files:
        there = by_key.get(found.key(file.name))
        if there is None or there.size != file.size:
            size = f"has {there.size} bytes, not {file.size}" if there else "is missing"
            raise Refused(f"{found.key(file.name)} {size}")
        files[file.name] = there
    try:
        return Carried(found, papers, files, verify(found, papers, allowed_signers))
    except Refused as error:
        raise Refused(f"{found}: {error}") from error


def _is_known(found: Mirrored) -> bool:
    """Whether it is here; raises Refused where its name, or its number, is another's."""
    channel = Channel.objects.filter(name=found.channel).first()
    if channel is None:
        return False
    siblings = Release.objects.of(channel, found.system).filter(sequence=found.sequence)
    same = siblings.filter(version=found.version).first()
    named = Release.objects.of(channel, found.system).filter(version=found.version)
    if same is None and (siblings.exists() or named.exists()):
        raise Refused(f"{found}: another release here has its name or its number")
    if same is not None and same.papers.items() - found.papers.items():
        raise Refused(f"{found}: a release of that name is here, with another manifest")
    return same is not None


def _verify_files(tar: BinaryIO, carried: Carried, told: Told) -> None:
    """That they are what the manifest names; then that its tarballs are some to unpack."""
    for file in carried.found.files:
        source = _opened(tar, carried, file, told, "verified")
        while source.read(_READ):
            pass
    for file in carried.found.tarballs:
        source = _opened(tar, carried, file, told, "looked into")
        refuse_tarball(cast("BinaryIO", source), file.name, lambda: None)


def _take(
    tar: BinaryIO, name: str, carried: Carried, told: Told, at: datetime
) -> Iterator[Outcome]:
    """Store one release's files, its manifest last, and publish it."""
    found = carried.found
    try:
        channel, was_built = channel_for(found.channel)
        for file in found.files:
            source = cast("BinaryIO", _opened(tar, carried, file, told, "stored"))
            artifacts().put_from(found.key(file.name), source, file.size or 0)
            point("import: file stored")
        store_papers(found, carried.papers)
        point("import: files stored")
        take_in(
            channel, found, carried.line, Source(TransferKind.IMPORTED, name, carried.signer), at=at
        )
    except AlreadyStored as error:
        raise Refused(f"{found}: {error}") from error
    except WRONG as error:
        if isinstance(error, OSError):
            raise
        raise Refused(f"{found}: {error}") from error
    if was_built:
        yield Outcome("left", f"{channel} is no longer built here: its releases are imported")
    how = f"signed by {carried.signer}" if carried.signer else "only its digests were checked"
    yield Outcome("published", f"{found}, {how}")


def _opened(tar: BinaryIO, carried: Carried, file: Expected, told: Told, word: str) -> Hashed:
    """A file of the tar, from its first byte; its digest is verified at its last."""
    member = carried.members[file.name]
    tar.seek(member.offset)
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        told(f"{word} {member.key}", done, member.size)

    return Hashed(tar, file, count)


def _small(tar: BinaryIO, member: Member, most: int) -> bytes:
    if member.size > most:
        raise Refused(f"{member.key} has more than {most} bytes")
    tar.seek(member.offset)
    return tar.read(member.size)
