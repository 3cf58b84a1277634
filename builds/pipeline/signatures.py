"""Signatures from the side that asks for them: stored, read again, kept right."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from builds import signing
from builds.choices import Act
from builds.models import Actor, AuditEntry, Channel, Damage, Head, Release, SignedSums, Subject
from builds.pipeline import boot_files, documents, naming
from builds.pipeline.timestamps import RENEWED_AFTER
from builds.points import point
from builds.signing import (
    BOOT_CA,
    CMS_SUFFIX,
    PAPERS,
    BadKeys,
    BadSignature,
    Keyring,
    KeySet,
    NoKey,
    Refused,
    SignerAway,
    cms,
    read_signed,
)
from builds.storage import AlreadyStored, artifacts, public_key

logger = logging.getLogger(__name__)


def sign_papers(release: Release) -> None:
    """Have a draft's sums and manifest signed, store that, and read all of it again.

    Raises what `signing.sign_release` raises, OSError, and LeaseLost.
    """
    point("publish: before signing")
    signed = signing.sign_release(release.pk, release.fence)
    for name, data in signed.files.items():
        point("publish: before a signature")
        _write(release, name, data)
    digests = {**signed.digests, **_digests(signed.files)}
    keys = write_keys()
    _check_stored(release, digests, keys)
    release.note_signatures(digests, signed.key)
    point("publish: signatures written")


def sign_sums(channel: str, *, at: datetime) -> bool:
    """Have the sums that move signed, as they stand; false where that has to be done later.

    Where a head is not signed they can't be, and there is nothing to do.
    """
    if are_sums_signed(channel, at=at):
        return True
    try:
        signed = signing.sign_moving(channel)
    except (SignerAway, Refused) as error:
        logger.warning("the sums of %s are signed later: %s", channel, error)
        return False
    point("publish: moving sums signed")
    row = Channel.objects.get(name=channel)
    sha256 = signed.digests[documents.HEADS]
    SignedSums.objects.note(row, sha256, signed.files, signed.key, at=at)
    return True


def are_sums_signed(channel: str, *, at: datetime) -> bool:
    """Whether the sums that move are signed as they stand and not long ago, or can't be."""
    heads = Head.objects.with_files().filter(channel__name=channel)
    releases = [head.release for head in heads]
    if not releases or not all(release.signed_by for release in releases):
        return True
    row = SignedSums.objects.of(channel, documents.heads_digest(releases))
    return row is not None and row.signed_at > at - RENEWED_AFTER


def write_keys() -> KeySet:
    """Put the public files of the keys where readers and mirrors find them; the keys.

    Raises SignerAway, Refused, and OSError.
    """
    papers = signing.key_papers()
    for name in PAPERS:
        key, data = public_key(name), papers.get(name, b"")
        if artifacts().read(key) != data and (name in papers or name != BOOT_CA):
            artifacts().replace(key, data)
    return _as_keys(papers)


def known_keys() -> KeySet | None:
    """The release keys as the signer has them, or their folder; None where neither can be read.

    Never as the storage has them: who may write there must not say whom to trust.
    """
    try:
        return _as_keys(signing.key_papers())
    except (SignerAway, Refused):
        pass
    try:
        return Keyring(Path(settings.SIGNER_KEYS)).read()
    except (NoKey, OSError, ValueError):
        return None


def sign_again(release: Release, *, at: datetime) -> bool:
    """Have a published release signed by the current key; false where it is none any more.

    Raises Refused, SignerAway and OSError.
    """
    signed = signing.sign_again(release.pk)
    for name, data in signed.files.items():
        artifacts().replace(release.key(name), data)
        Damage.objects.note_right(release, name, at=at)
    with transaction.atomic():
        is_noted = release.note_signed_again(_digests(signed.files), signed.key)
        if is_noted:
            said = f"signed again by {signed.key}"
            by = Actor.of(None)
            AuditEntry.objects.record(Act.CHANGE, release, by=by, at=at, reason=said)
    return is_noted


def sign_all_again(key: str, *, at: datetime) -> Iterator[tuple[Release, str]]:
    """Everything that another key than the current one, `key`, has signed; what went wrong, or "".

    The caller rewrites what moves of their channels.
    """
    for release in Release.objects.signed_by_others(key):
        wrong = ""
        try:
            sign_again(release, at=at)
        except (Refused, OSError) as error:
            wrong = str(error)
        yield release, wrong
    SignedSums.objects.by_others(key).delete()


def record_root(root: str, *, at: datetime, by: Actor | None = None) -> None:
    """Tell the audit trail of a new root key; `root` is its public half."""
    subject = Subject("root key", None, signing.fingerprint(root))
    AuditEntry.objects.record(Act.ADD, subject, by=Actor.of(by), at=at)


def record_keys(
    before: KeySet | None, after: KeySet, *, at: datetime, by: Actor | None = None
) -> None:
    """Tell the audit trail which release keys are new, and which of them stand otherwise now."""
    stood = {key.id: key.status for key in before.keys} if before else {}
    with transaction.atomic():
        for key in after.keys:
            if stood.get(key.id) == key.status:
                continue
            was = stood.get(key.id)
            act, said = (Act.CHANGE, f"{was} → {key.status}") if was else (Act.ADD, key.status)
            subject = Subject("release key", None, f"{key.id} {signing.fingerprint(key.ssh)}")
            AuditEntry.objects.record(act, subject, by=Actor.of(by), at=at, reason=str(said))


def what_is_wrong(release: Release, name: str, keys: KeySet) -> str:
    """Why a stored paper's signatures prove nothing to who has these keys; "" where they do."""
    data = artifacts().read(release.key(name)) or b""
    if naming.is_envelope(name):
        return _wrong_with_envelope(data, keys)
    ssh, mini = (artifacts().read(release.key(each)) for each in naming.signature_names(name))
    try:
        keys.check(data, ssh or b"", mini)
    except BadSignature as wrong:
        return str(wrong)
    return ""


def _wrong_with_envelope(data: bytes, keys: KeySet) -> str:
    try:
        keys.check_envelope(data)
    except BadSignature as wrong:
        return str(wrong)
    return ""


def _check_stored(release: Release, digests: Mapping[str, str], keys: KeySet) -> None:
    """Raises OSError where the storage does not give back what was written and signed."""
    for name, sha256 in digests.items():
        data = artifacts().read(release.key(name))
        if data is None or documents.digest(data) != sha256:
            raise OSError(f"{release.key(name)} did not come back as it was written")
    envelopes = [name for name in digests if naming.is_envelope(name)]
    for name in [*naming.unsigned_names(release.system), *envelopes]:
        wrong = what_is_wrong(release, name, keys)
        if wrong:
            raise OSError(f"{release.key(name)} came back with a bad signature: {wrong}")
    certificate = artifacts().read(public_key(BOOT_CA)) or b""
    for name, sha256 in boot_files.to_sign(release).items():
        if f"{name}{CMS_SUFFIX}" in digests:
            _check_for_ipxe(release, f"{name}{CMS_SUFFIX}", sha256, certificate)


def _check_for_ipxe(release: Release, name: str, sha256: str, certificate: bytes) -> None:
    try:
        cms.check(artifacts().read(release.key(name)) or b"", sha256, certificate)
    except (BadSignature, ValueError) as wrong:
        raise OSError(f"{release.key(name)} came back with a bad signature: {wrong}") from None


def _write(release: Release, name: str, data: bytes) -> None:
    try:
        artifacts().write_once(release.key(name), data)
    except AlreadyStored:
        # Of a publish that broke off, by another key or for another number.
        release.beat()
        artifacts().replace(release.key(name), data)


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: documents.digest(data) for name, data in files.items()}


def _as_keys(papers: Mapping[str, bytes]) -> KeySet:
    data, signature = papers["keys.json"], papers["keys.json.sig"]
    try:
        return read_signed(data, signature, KeySet.from_json(data).root)
    except (BadKeys, BadSignature) as error:
        raise Refused(f"the signer's keys can't be used: {error}") from None
