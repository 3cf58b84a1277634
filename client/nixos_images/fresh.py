"""Whether what is offered as the latest is: frozen portals are told from those with nothing new."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from pathlib import Path

from nixos_images import web
from nixos_images.config import Config
from nixos_images.failures import NotThere, NotVerified, TooOld
from nixos_images.records import Manifest, Release, Timestamp, timestamp_of
from nixos_images.signatures import SIGNATURE, verify


def latest_timestamp(
    release: Release, manifest: bytes, config: Config, signers: Path | None
) -> Timestamp | None:
    """The portal's timestamp of this release, signed where keys are trusted; None: it has none.

    Raises NotVerified where it is of another release, or signed by nobody who is trusted.
    """
    channel, name = web.quoted(release.channel), f"timestamp-{release.system}.json"
    url = f"{config.url}/releases/download/{channel}/{name}"
    try:
        data = web.read(url)
    except NotThere:
        return None
    if signers is not None:
        verify(data, _signature(url), signers)
    found = timestamp_of(data)
    _compare(found, release, manifest)
    return found


def refuse_expired(
    release: Release, manifest: Manifest, timestamp: Timestamp | None, *, at: datetime | None = None
) -> None:
    """Raise TooOld where nobody vouches any more that this release is the latest.

    A portal that is well makes its timestamp anew every day, whether there is a new release or
    not; so where it has one, the manifest's own and much longer time does not count.
    """
    at = at or datetime.now(timezone.utc)
    expires_at = timestamp.expires_at if timestamp else manifest.expires_at
    if expires_at is None or at < expires_at:
        return
    what = "timestamp" if timestamp else "manifest"
    raise TooOld(
        f"{release.name} is offered as the latest, and its {what} was over on "
        f"{expires_at:%Y-%m-%d %H:%M} UTC: the portal stands still, somebody holds back what is "
        "new, or this machine's clock is wrong; --allow-expired takes it all the same"
    )


def _compare(timestamp: Timestamp, release: Release, manifest: bytes) -> None:
    for field in ("channel", "system", "version", "sequence"):
        if getattr(timestamp, field) != getattr(release, field):
            raise NotVerified(
                f"the timestamp is of another release than {release.name}: its {field} is "
                f"{getattr(timestamp, field)}; was one published just now? Then ask again"
            )
    if hashlib.sha256(manifest).hexdigest() != timestamp.manifest_sha256:
        raise NotVerified(f"the timestamp names another manifest than that of {release.name}")


def _signature(url: str) -> bytes:
    try:
        return web.read(url + SIGNATURE)
    except NotThere:
        raise NotVerified(f"{url} is not signed") from None
