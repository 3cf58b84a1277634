"""What must hold before anything is signed: the signer looks at rows and bytes by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from builds.choices import BuildStatus, CheckName, Role
from builds.models import Check, Head, Release
from builds.pipeline import documents, naming, provenance
from builds.pipeline.scrub import Expected, difference
from builds.pipeline.timestamps import timestamp
from builds.signing import (
    BadSignature,
    Keyring,
    Ledger,
    Place,
    Refused,
    ReleaseKey,
    Stranger,
    opened,
)
from builds.storage import artifacts

Read = Callable[[int], None]
Papers = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Looked:
    """What may be signed of a release: papers by name, and the statement of its provenance.

    `digests` are those of every paper, also of the SBOM, which is not signed by itself: the
    manifest names its digest.
    """

    papers: Papers
    digests: dict[str, str]
    statement: bytes | None


def held_draft(release_id: int, fence: int) -> Release:
    """The draft that is held under this fence right now. Raises Stranger."""
    held = Release.objects.held_under(fence).select_related("channel")
    release = held.filter(pk=release_id).first()
    if release is None:
        raise Stranger(f"nobody holds a draft {release_id} under the fence {fence}")
    return release


def checked_papers(release: Release, read: Read, *, at: datetime) -> Looked:
    """Sums, manifest and statement of a draft that may be signed, as its rows have them.

    `read` is told of the bytes of each block that is hashed. Raises Refused, and OSError where
    the storage can't be read.
    """
    if release.version is None or release.sequence is None or release.pinned_at is None:
        raise Refused(f"{release} has no version, number or source yet")
    if documents.expires_at(release) <= at:
        raise Refused(f"the manifest of {release} would be past its time")
    _check_builds(release)
    _check_verdicts(release)
    _check_script(release)
    papers = documents.papers(release)
    for name, data in papers.items():
        if artifacts().read(release.key(name)) != data:
            raise Refused(f"{name} of {release} is stored with other bytes than its rows give")
    statement = provenance.statement(release)
    hashed = hash_files(release, read)
    manifest = papers[naming.manifest_name(release.system)]
    _check_statement(release, statement, manifest, hashed)
    digests = {name: documents.digest(data) for name, data in papers.items()}
    signed = {name: papers[name] for name in naming.unsigned_names(release.system)}
    return Looked(signed, digests, statement)


def published_papers(release: Release, keyring: Keyring, ledger: Ledger, read: Read) -> Looked:
    """Sums, manifest and statement of a published release, which were signed; looks again at all.

    They are the stored bytes: an older portal may have written a manifest otherwise. They must
    be what the ledger has, or what a key that still stands has signed; the statement must be the
    one that the manifest names. Raises Refused.
    """
    names = naming.unsigned_names(release.system)
    papers = {name: artifacts().read(release.key(name)) or b"" for name in names}
    assert release.sequence is not None, "a published release is numbered"
    noted = ledger.digests(Place(release.channel.name, release.system, release.sequence))
    if noted != {name: documents.digest(data) for name, data in papers.items()}:
        for name, data in papers.items():
            signer_of(release, name, data, keyring)
        _check_place(release, papers[naming.manifest_name(release.system)])
    if papers[naming.sums_name(release.system)] != documents.release_sums(release):
        raise Refused(f"the sums of {release} are other ones than its rows give")
    manifest = papers[naming.manifest_name(release.system)]
    statement = _stored_statement(release, manifest)
    _check_statement(release, statement, manifest, hash_files(release, read))
    digests = {name: documents.digest(data) for name, data in papers.items()}
    return Looked(papers, digests, statement)


def checked_heads(channel: str, keyring: Keyring) -> list[Release]:
    """The releases at the heads of a channel; every one is signed. Raises Refused."""
    heads = Head.objects.with_files().filter(channel__name=channel).order_by("system")
    releases = [head.release for head in heads]
    if not releases:
        raise Refused(f"{channel} has no release to point to")
    for release in releases:
        if not release.is_published:
            raise Refused(f"the head of {channel} names {release}, which is not published")
        name = naming.sums_name(release.system)
        signer_of(release, name, documents.release_sums(release), keyring)
        _check_script(release)
    return releases


def timestamps_of(releases: list[Release], keyring: Keyring, *, at: datetime) -> Papers:
    """That each of these releases is the latest now, by the timestamps' names. Raises Refused."""
    made = {}
    for release in releases:
        name = naming.manifest_name(release.system)
        manifest = artifacts().read(release.key(name)) or b""
        signer_of(release, name, manifest, keyring)
        _check_place(release, manifest)
        made[naming.timestamp_name(release.system)] = timestamp(release, manifest, at=at)
    return made


def signer_of(release: Release, name: str, data: bytes, keyring: Keyring) -> ReleaseKey:
    """The key whose stored signatures of a paper verify. Raises Refused."""
    ssh = artifacts().read(release.key(f"{name}.sig"))
    mini = artifacts().read(release.key(f"{name}.minisig"))
    if ssh is None:
        raise Refused(f"{name} of {release} is not signed")
    try:
        return keyring.read().check(data, ssh, mini)
    except BadSignature as wrong:
        raise Refused(f"{name} of {release}: {wrong}") from None


def hash_files(release: Release, read: Read) -> dict[str, str]:
    """The digests of all stored files by name. Raises Refused for one that is not as its row."""
    hashed = {}
    for artifact in release.artifacts.all():
        file = Expected(artifact.name, artifact.sha256, artifact.size)
        wrong = difference(artifact.key, file, read)
        if wrong:
            raise Refused(f"{artifact.name} of {release}: {wrong}")
        hashed[artifact.name] = artifact.sha256
    return hashed


def _stored_statement(release: Release, manifest: bytes) -> bytes | None:
    """The statement in the stored provenance, where the manifest names one. Raises Refused."""
    name = naming.provenance_name(release.system)
    if _named_payload(manifest, name) is None:
        return None
    try:
        return opened(artifacts().read(release.key(name)) or b"").payload
    except BadSignature as wrong:
        raise Refused(f"{name} of {release}: {wrong}") from None


def _check_statement(
    release: Release, statement: bytes | None, manifest: bytes, hashed: dict[str, str]
) -> None:
    """Raises Refused unless the manifest names this statement, and it these very files."""
    name = naming.provenance_name(release.system)
    payload = documents.digest(statement) if statement is not None else None
    if _named_payload(manifest, name) != payload:
        raise Refused(f"the manifest of {release} names another provenance")
    if statement is None:
        return
    said = json.loads(statement)
    subjects = {each["name"]: each["digest"] for each in said["subject"]}
    if (said["_type"], said["predicateType"]) != (provenance.STATEMENT, provenance.PREDICATE):
        raise Refused(f"{name} of {release} states something else than how it was made")
    if len(subjects) != len(said["subject"]) or subjects != {
        file: {"sha256": sha256} for file, sha256 in hashed.items()
    }:
        raise Refused(f"the provenance of {release} is about other files than it has")


def _named_payload(manifest: bytes, name: str) -> str | None:
    told = json.loads(manifest).get("documents", [])
    return next((each["payload_sha256"] for each in told if each["name"] == name), None)


def _check_place(release: Release, manifest: bytes) -> None:
    """Raises Refused for a well-signed manifest of another release."""
    said = json.loads(manifest)
    place = (release.channel.name, release.system, release.version, release.sequence)
    if tuple(said[name] for name in ("channel", "system", "version", "sequence")) != place:
        raise Refused(f"what is stored as the manifest of {release} is that of another release")


def _check_builds(release: Release) -> None:
    builds = release.builds.newest_per_variant()
    if not builds or any(build.status != BuildStatus.SUCCEEDED for build in builds):
        raise Refused(f"not every build of {release} has succeeded")
    made = {build.pk for build in builds}
    of = {artifact.build_id for artifact in release.artifacts.all()}
    strange = [a.name for a in release.artifacts.all() if a.build_id not in made]
    if strange:
        raise Refused(f"{', '.join(strange)} of {release} came from no build of it")
    if made - of:
        raise Refused(f"a build of {release} has left no file")


def _check_verdicts(release: Release) -> None:
    gating = list(release.checks.gating())
    variants = {build.variant for build in release.builds.all()}
    wanted = CheckName.planned(release.channel.checks, release.system, variants, release.origin)
    if wanted and not gating:
        raise Refused(f"no check of {release} was made")
    failed = [check.name for check in gating if not _lets_through(check)]
    if failed:
        raise Refused(f"{', '.join(failed)} of {release} has not passed")


def _lets_through(check: Check) -> bool:
    """Only what compares builds may be told of without having passed: an image has to boot."""
    is_told = check.name in CheckName.values and not CheckName(check.name).boots
    return check.lets_through if is_told else check.has_passed


def _check_script(release: Release) -> None:
    script = documents.boot_script(release, moving=False)
    wanted = {documents.digest(script)} if script is not None else set()
    scripts = {a.sha256 for a in release.artifacts.all() if a.role == Role.IPXE}
    if scripts != wanted:
        raise Refused(f"the boot script of {release} is another one than its rows give")
