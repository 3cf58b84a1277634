"""What the signer does: one answer for one question; the only code that uses a private key."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import Error

from builds.models import Release
from builds.pipeline import boot_files, documents, naming
from builds.points import point
from builds.signer import subject
from builds.signing import (
    CMS_SUFFIX,
    Keyring,
    Ledger,
    NoKey,
    Place,
    Refused,
    SigningKey,
    Spent,
    Stranger,
    Torn,
)

logger = logging.getLogger(__name__)

Answer = dict[str, Any]
Read = Callable[[int], None]


def nobody(_size: int) -> None:
    """Who is told of each block that was hashed, where nobody is."""


class Service:
    """The keys in one folder, and the questions that they are used for."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._ledger = Ledger(keyring.ledger)

    def answer(self, question: Any, *, at: datetime, read: Read = nobody) -> Answer:
        """What comes of a question, whatever it is; nothing that is asked ends the signer."""
        try:
            return self._answer(question, at, read)
        except Stranger as refusal:
            return {"stranger": str(refusal)}
        except Spent as spent:
            return {"refused": str(spent), "newest": spent.newest}
        except Refused as refusal:
            logger.warning("refused to sign: %s", refusal)
            return {"refused": str(refusal)}
        except (NoKey, Torn, OSError, Error) as error:
            logger.warning("can't sign now: %s", error)
            return {"away": str(error)}
        except Exception as error:
            # A fault of the signer's, not of the release's: nothing is decided yet.
            logger.exception("a question that can't be answered")
            return {"away": f"the signer has a fault, which its log tells: {type(error).__name__}"}

    def _answer(self, question: Any, at: datetime, read: Read) -> Answer:
        match question:
            case {"act": "sign-release", "release": int(pk), "fence": int(fence), **rest} if (
                not rest and _is_id(pk) and _is_id(fence)
            ):
                return self._sign_release(pk, fence, at, read)
            case {"act": "sign-again", "release": int(pk), **rest} if not rest and _is_id(pk):
                return self._sign_again(pk, at, read)
            case {"act": "sign-moving", "channel": str(channel), **rest} if not rest:
                return self._sign_moving(channel, at)
            case {"act": "keys", **rest} if not rest:
                papers = self._keyring.papers()
                return {"papers": {name: data.decode() for name, data in papers.items()}}
        raise Refused("the question is none that the signer knows")

    def _sign_release(self, pk: int, fence: int, at: datetime, read: Read) -> Answer:
        key = self._keyring.signing_key(at)
        release = subject.held_draft(pk, fence)
        looked = subject.checked_papers(release, read, at=at)
        point("signer: all looked at")
        subject.held_draft(pk, fence)  # hashing may have taken longer than a lease
        digests = {name: looked.digests[name] for name in looked.papers}
        assert release.sequence is not None, "what may be signed is numbered"
        place = Place(release.channel.name, release.system, release.sequence)
        self._ledger.note(place, digests, key.key.id)
        point("signer: number noted")
        logger.info("signs %s with %s", release, key.key.id)
        return _for_ipxe(key, release, _signed_release(key, release, looked))

    def _sign_again(self, pk: int, at: datetime, read: Read) -> Answer:
        key = self._keyring.signing_key(at)
        published = Release.objects.published().select_related("channel")
        release = published.filter(pk=pk).first()
        if release is None:
            raise Refused(f"there is no published release {pk}")
        looked = subject.published_papers(release, self._keyring, self._ledger, read)
        logger.info("signs %s again with %s", release, key.key.id)
        return _for_ipxe(key, release, _signed_release(key, release, looked))

    def _sign_moving(self, channel: str, at: datetime) -> Answer:
        key = self._keyring.signing_key(at)
        releases = subject.checked_heads(channel, self._keyring)
        made = subject.timestamps_of(releases, self._keyring, at=at)
        papers = {naming.MOVING_SUMS: documents.moving_sums(releases), **made}
        heads = " ".join(f"{each.system}:{each.version}:{each.sequence}" for each in releases)
        answer = _signed(key, papers, lambda name: f"file:{name} channel:{channel} {heads}")
        answer["files"] |= {name: data.decode() for name, data in made.items()}
        for release in releases:
            scripts = boot_files.scripts(release, moving=True)
            answer["files"] |= _verified(key, scripts, _digests(scripts))
        answer["digests"][documents.HEADS] = documents.heads_digest(releases)
        return answer


def _signed_release(key: SigningKey, release: Release, looked: subject.Looked) -> Answer:
    answer = _signed(key, looked.papers, lambda name: _comment(release, name))
    if looked.statement is not None:
        name = naming.provenance_name(release.system)
        answer["files"][name] = key.attest(looked.statement).decode()
    return answer | {"digests": looked.digests}


def _signed(key: SigningKey, papers: subject.Papers, comment: Callable[[str], str]) -> Answer:
    files = {
        f"{name}{suffix}": signature.decode()
        for name, data in papers.items()
        for suffix, signature in key.sign(data, comment(name)).items()
    }
    point("signer: signed")
    return {"files": files, "key": key.key.id, "digests": _digests(papers)}


def _for_ipxe(key: SigningKey, release: Release, answer: Answer) -> Answer:
    """The same with the scripts that verify, and what iPXE verifies by."""
    scripts = boot_files.scripts(release, moving=False)
    answer["files"] |= _verified(key, scripts, boot_files.to_sign(release))
    return answer


def _verified(key: SigningKey, scripts: subject.Papers, digests: dict[str, str]) -> dict[str, str]:
    """Scripts, and signatures of what has these digests; none where the key has no certificate."""
    files = {name: data.decode() for name, data in scripts.items()}
    for name, sha256 in digests.items():
        signature = key.sign_digest(sha256)
        if signature is not None:
            files[f"{name}{CMS_SUFFIX}"] = base64.b64encode(signature).decode()
    return files


def _digests(papers: subject.Papers) -> dict[str, str]:
    return {name: documents.digest(data) for name, data in papers.items()}


def _comment(release: Release, name: str) -> str:
    return (
        f"file:{name} channel:{release.channel.name} version:{release.version} "
        f"system:{release.system} sequence:{release.sequence}"
    )


def _is_id(number: int) -> bool:
    """Whether a number can be a row's, or a fence; True is no number here."""
    return not isinstance(number, bool) and 0 <= number < 2**31
