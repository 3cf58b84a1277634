"""Who made a release: its sums and manifest, and the signatures over them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nixos_images import web
from nixos_images.config import Config
from nixos_images.failures import NotThere, NotVerified, TooOld
from nixos_images.fresh import latest_timestamp, refuse_expired
from nixos_images.records import Manifest, Release, Timestamp, manifest_of, sums_of
from nixos_images.seen import Seen
from nixos_images.signatures import SIGNATURE, verify

KEYS = "/keys/allowed_signers"


@dataclass(frozen=True)
class Proof:
    """The papers of a release, and in a sentence each what was verified and what was not."""

    sums: bytes
    signature: bytes | None
    digests: dict[str, str]
    manifest: Manifest
    timestamp: Timestamp | None
    verified: list[str]
    unverified: list[str]


@dataclass(frozen=True)
class Wish:
    """How much proof is wanted."""

    required: bool = False
    trust_on_first_use: bool = False
    allow_older: bool = False
    allow_expired: bool = False


def prove(release: Release, config: Config, wish: Wish) -> Proof:
    """The papers of the latest release, verified as far as can be; raises NotVerified, TooOld."""
    sums, paper = web.read(release.sums_url), web.read(release.manifest_url)
    manifest, digests = manifest_of(paper), sums_of(sums)
    _compare(release, manifest, digests)
    verified, unverified = ["the manifest and the sums name this release and these digests"], []
    signature = None
    with _trusted(release, config, wish) as signers:
        reason = _why_not(release, signers)
        if reason:
            _refuse_unsigned(release, signers, reason, wish)
            unverified.append(f"who made it: {reason}")
        elif signers is not None:
            signature = web.read(release.signatures["ssh"])
            who = verify(sums, signature, signers)
            verify(paper, web.read(release.manifest_url + SIGNATURE), signers)
            verified.append(f"sums and manifest are signed by {who} of {signers}")
        known = None if reason else signers
        timestamp = latest_timestamp(release, paper, config, known)
    if not wish.allow_older:
        Seen(config).refuse_older_timestamp(release, timestamp)
    try:
        refuse_expired(release, manifest, timestamp)
    except TooOld as late:
        if not wish.allow_expired:
            raise
        unverified.append(f"that it is the latest: {late}")
    return Proof(sums, signature, digests, manifest, timestamp, verified, unverified)


def _compare(release: Release, manifest: Manifest, digests: dict[str, str]) -> None:
    same = ("channel", "system", "version", "sequence")
    for field in same:
        if getattr(manifest, field) != getattr(release, field):
            raise NotVerified(
                f"the manifest of {release.name} is that of another release: its {field} is "
                f"{getattr(manifest, field)}"
            )
    for name, digest in manifest.digests.items():
        if digests.get(name) != digest:
            raise NotVerified(f"sums and manifest differ in {name}")
    for artifact in release.artifacts:
        if digests.get(artifact.name) != artifact.sha256:
            raise NotVerified(f"the sums have another digest of {artifact.name} than the record")


@contextmanager
def _trusted(release: Release, config: Config, wish: Wish) -> Iterator[Path | None]:
    """The keys that are trusted; those that the portal offers only where that was asked for.

    They are kept only where they have verified this release.
    """
    signers = config.trusted_signers()
    if signers is not None or not wish.trust_on_first_use or not release.signatures.get("ssh"):
        yield signers
        return
    try:
        keys = web.read(config.url + KEYS)
    except NotThere:
        raise NotVerified(f"{config.url} offers no keys to trust") from None
    pinned = config.pinned_signers
    pinned.parent.mkdir(parents=True, exist_ok=True)
    pinned.write_bytes(keys)
    try:
        yield pinned
    except BaseException:
        pinned.unlink()
        raise


def _refuse_unsigned(release: Release, signers: Path | None, reason: str, wish: Wish) -> None:
    """Whoever trusts some keys is not to be given what none of them has signed."""
    is_bare = signers is not None and not release.signatures.get("ssh")
    if wish.required or is_bare:
        raise NotVerified(f"the signature of {release.name} was not verified: {reason}")


def _why_not(release: Release, signers: Path | None) -> str:
    """Why no signature can be verified; "" where one can."""
    if not release.signatures.get("ssh"):
        return "this release is not signed"
    if signers is None:
        return (
            "no keys are trusted yet; name an allowed_signers file by --allowed-signers, or take "
            "the portal's own by --trust-on-first-use"
        )
    return "" if shutil.which("ssh-keygen") else "there is no ssh-keygen (OpenSSH 8.2 or newer)"
