"""Compares what a mirror has with what this portal knows: heads, papers, sizes, digests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from builds.models import Artifact, Head, Mirror, MirrorCopy, MirrorHead, Release
from builds.outward import NotThere, Refused, Unreachable
from builds.pipeline import documents, naming
from builds.pipeline.abroad.site import LEAST_RATE, PATIENCE, Site, WrongBytes
from builds.pipeline.signatures import known_keys
from builds.signing import SUFFIXES, BadSignature
from builds.storage import artifacts

LONGEST = 600.0  # seconds for one file to be hashed


@dataclass(frozen=True, slots=True)
class Ours:
    """A mirror that is looked at, and how."""

    mirror: Mirror
    site: Site
    at: datetime

    def note(self, release: Release, wrong: str, *, file: str = "") -> None:
        """Note what a release is like there; `wrong` is "" where it is right."""
        MirrorCopy.objects.update_or_create(
            mirror=self.mirror,
            release=release,
            defaults={"is_right": not wrong, "note": wrong, "file": file, "checked_at": self.at},
        )


def look_at_head(ours: Ours, head: Head) -> MirrorHead:
    """What the mirror calls the latest of one channel and system, noted."""
    row = MirrorHead.objects.filter(
        mirror=ours.mirror, channel=head.channel_id, system=head.system
    ).first() or MirrorHead(mirror=ours.mirror, channel=head.release.channel, system=head.system)
    row.begin(at=ours.at)
    try:
        _compare(row, head, ours.site)
    except NotThere:
        row.note = "It has nothing of it."
    except (Unreachable, Refused) as error:
        row.is_silent, row.note = True, str(error)
    except (WrongBytes, KeyError, TypeError, ValueError) as error:
        row.is_wrong, row.note = True, f"Its latest record is not ours: {error}"
    row.save()
    return row


@dataclass(frozen=True, slots=True)
class Difference:
    """What of a release is wrong there, and what is only older than here; each in a sentence."""

    wrong: str = ""
    behind: str = ""


def differences(ours: Ours, release: Release) -> Difference | None:
    """How a release there differs from ours; None: it is not there.

    Its papers are compared by their digests, its files by their sizes. Signatures are the one
    thing that is ever replaced: others than ours, by a key that is still trusted, are older ones.
    Raises Unreachable.
    """
    try:
        ours.site.paper(release.key(naming.manifest_name(release.system)))
    except NotThere:
        return None
    wrong, older = _wrong(ours, release), ""
    if not wrong:
        wrong, older = _signatures(ours, release)
    return Difference(wrong, older)


def _wrong(ours: Ours, release: Release) -> str:
    """What is wrong with what never changes, in a sentence; "" where nothing is."""
    try:
        for name, sha256 in sorted(release.papers.items()):
            if naming.is_signature(name):
                continue
            found = documents.digest(ours.site.paper(release.key(name)))
            if found != sha256:
                return _other(name, found, sha256)
        for artifact in release.artifacts.all():
            size = ours.site.size_of(artifact.key)
            if size not in {None, artifact.size}:
                return f"{artifact.name} has {size} bytes instead of {artifact.size}."
    except NotThere as error:
        return f"It lacks a file: {error}."
    return ""


def _signatures(ours: Ours, release: Release) -> tuple[str, str]:
    """What is wrong with its signatures there, and whose older ones they are; "" for neither."""
    signers = set()
    for name in naming.unsigned_names(release.system):
        noted = [each for each in naming.signature_names(name) if each in release.papers]
        try:
            there = {each: ours.site.paper(release.key(each)) for each in noted}
        except NotThere as error:
            return f"It lacks a file: {error}.", ""
        others = [each for each in noted if documents.digest(there[each]) != release.papers[each]]
        if others:
            each = others[0]
            signer = _earlier_signer(release, name, there) if len(noted) == len(SUFFIXES) else ""
            if not signer:
                return _other(each, documents.digest(there[each]), release.papers[each]), ""
            signers.add(signer)
    if signers:
        return "", f"It has the earlier signatures by {', '.join(sorted(signers))}."
    return "", ""


def _earlier_signer(release: Release, name: str, signatures: dict[str, bytes]) -> str:
    """The release key that has signed a paper so, where all of it is good; "" where it is not."""
    keys = known_keys() if release.signed_by else None
    data = artifacts().read(release.key(name))
    if keys is None or data is None:
        return ""
    ssh, mini = (signatures[each] for each in naming.signature_names(name))
    try:
        return keys.check(data, ssh, mini).id
    except BadSignature:
        return ""


def _other(name: str, found: str, wanted: str) -> str:
    return f"{name} has the SHA-256 {found} instead of {wanted}."


def hash_one(ours: Ours, artifact: Artifact) -> str:
    """What is wrong with a file's bytes there, in a sentence, "" where nothing is.

    Raises Unreachable, also where it comes too slowly to be hashed.
    """
    within = min(LONGEST, PATIENCE + artifact.size / LEAST_RATE)
    try:
        found = ours.site.digest_of(artifact.key, artifact.size, within, lambda _count: None)
    except NotThere:
        return f"{artifact.name} is missing."
    except WrongBytes:
        return f"{artifact.name} has more than its {artifact.size} bytes."
    if found != artifact.sha256:
        return f"{artifact.name} has the SHA-256 {found} instead of {artifact.sha256}."
    return ""


def hash_again(ours: Ours, release: Release, name: str) -> str:
    """The same of a file that was found wrong before."""
    artifact = release.artifacts.filter(name=name).first()
    return hash_one(ours, artifact) if artifact else ""


def _compare(row: MirrorHead, head: Head, site: Site) -> None:
    """Fill in what it calls the latest, and how far that is behind ours."""
    told = site.record(head.release.channel.name, naming.latest_name(head.system))
    row.version, number = str(told["version"])[:110], int(told["sequence"])
    siblings = head.release.siblings().known_to_outside()
    there = siblings.filter(sequence=number, version=row.version).first()
    if there is None:
        raise WrongBytes(f"no release of ours is called {row.version} and has number {number}")
    theirs = {str(each["name"]): each["sha256"] for each in told["artifacts"]}
    if theirs != {file.name: file.sha256 for file in there.artifacts.all()}:
        raise WrongBytes(f"it has other digests than {row.version} has")
    if there.pk == head.release_id:
        row.behind = 0
        return
    newer = siblings.published().filter(sequence__gt=number, sequence__lte=head.release.sequence)
    oldest = newer.last()
    row.behind = max(newer.count(), 1)  # what was taken back since is behind, too
    row.behind_since = oldest.published_at if oldest else head.moved_at
    row.note = f"It has {row.version}, {row.behind} behind {head.release.version}."
