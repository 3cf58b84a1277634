"""The portal's records, read with suspicion: names become files, digests are compared."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from nixos_images.failures import NotVerified

SYSTEMS = ("x86_64-linux", "aarch64-linux")
VARIANTS = ("netboot", "kexec-installer", "kexec-installer-noninteractive", "kexec-bundle", "iso")
ROLES = ("kernel", "initrd", "ipxe", "tarball", "bundle", "iso")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
INSTANT = "%Y-%m-%dT%H:%M:%SZ"
_SUMS_LINE = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9._+-]*)")


@dataclass(frozen=True)
class Artifact:
    """One file of a release; `size` in bytes."""

    name: str
    variant: str
    role: str
    size: int
    sha256: str
    url: str
    immutable_url: str


@dataclass(frozen=True)
class Release:
    """The latest release of a channel on a system."""

    channel: str
    system: str
    version: str
    sequence: int
    published_at: str
    sums_url: str
    manifest_url: str
    signatures: dict[str, str]
    artifacts: tuple[Artifact, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.channel} {self.version} {self.system}"

    def chosen(self, variant: str = "", role: str = "") -> list[Artifact]:
        """Its files of this variant and this role; "" stands for any."""
        return [
            each
            for each in self.artifacts
            if variant in {"", each.variant} and role in {"", each.role}
        ]


@dataclass(frozen=True)
class Manifest:
    """What the manifest of a release says of it; signed, it is the release's word."""

    channel: str
    system: str
    version: str
    sequence: int
    expires_at: datetime | None
    digests: dict[str, str]
    sizes: dict[str, int]


@dataclass(frozen=True)
class Timestamp:
    """What the portal's signer says is the latest now; it is made anew every day."""

    channel: str
    system: str
    version: str
    sequence: int
    manifest_sha256: str
    made_at: datetime
    expires_at: datetime


def release_of(said: Any, channel: str, system: str) -> Release:
    """The record of `latest`; raises NotVerified where it is not of what was asked for."""
    try:
        release = Release(
            channel=_text(said["channel"]),
            system=_text(said["system"]),
            version=_named(said["version"]),
            sequence=int(said["sequence"]),
            published_at=_text(said["published_at"]),
            sums_url=_text(said["sums_url"]),
            manifest_url=_text(said["manifest_url"]),
            signatures={str(kind): str(url) for kind, url in said["signatures"].items()},
            artifacts=tuple(map(_artifact, said["artifacts"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotVerified(f"the portal's record can't be read: {error!r}") from None
    if (release.channel, release.system) != (channel, system):
        raise NotVerified(f"asked for {channel} {system}, the portal answers with {release.name}")
    _refuse_strangers(release)
    return release


def manifest_of(data: bytes) -> Manifest:
    """The manifest of a release."""
    try:
        said = json.loads(data)
        expires = said.get("expires_at")
        return Manifest(
            channel=_text(said["channel"]),
            system=_text(said["system"]),
            version=_text(said["version"]),
            sequence=int(said["sequence"]),
            expires_at=instant(expires) if expires else None,
            digests={each["name"]: each["sha256"] for each in said["artifacts"]},
            sizes={each["name"]: each["size"] for each in said["artifacts"]},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotVerified(f"the manifest can't be read: {error!r}") from None


def timestamp_of(data: bytes) -> Timestamp:
    """The timestamp of a channel on a system."""
    try:
        said = json.loads(data)
        return Timestamp(
            channel=_text(said["channel"]),
            system=_text(said["system"]),
            version=_text(said["version"]),
            sequence=int(said["sequence"]),
            manifest_sha256=_digest(said["manifest_sha256"]),
            made_at=instant(said["made_at"]),
            expires_at=instant(said["expires_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotVerified(f"the timestamp can't be read: {error!r}") from None


def sums_of(data: bytes) -> dict[str, str]:
    """The digests of a sums file by name; raises NotVerified where a line is none."""
    digests: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        found = _SUMS_LINE.fullmatch(line)
        if found is None or found[2] in digests:
            raise NotVerified(f"the sums have a line that is none: {line[:100]!r}")
        digests[found[2]] = found[1]
    return digests


def instant(text: str) -> datetime:
    """A time as the portal writes it, 2026-11-22T03:12:09Z."""
    return datetime.strptime(f"{text[:19]}Z", INSTANT).replace(tzinfo=timezone.utc)


def _artifact(said: Any) -> Artifact:
    return Artifact(
        name=_named(said["name"]),
        variant=_text(said["variant"]),
        role=_text(said["role"]),
        size=int(said["size"]),
        sha256=_digest(said["sha256"]),
        url=_text(said["url"]),
        immutable_url=_text(said["immutable_url"]),
    )


def _refuse_strangers(release: Release) -> None:
    """Each address must be of this very release: week's kernels and initrds never mix."""
    folder = f"/releases/download/{release.channel}/{release.version}/"
    urls = [release.sums_url, release.manifest_url, *release.signatures.values()]
    named = {each.immutable_url: each.name for each in release.artifacts}
    for url in [*urls, *named]:
        name = urlsplit(url).path.rpartition(folder)[2]
        if folder not in urlsplit(url).path or "/" in name or name != named.get(url, name):
            raise NotVerified(f"{url} is a file of another release than {release.name}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _named(value: Any) -> str:
    if not _NAME.fullmatch(_text(value)):
        raise ValueError(f"{value!r} is no name")
    return str(value)


def _digest(value: Any) -> str:
    if not _DIGEST.fullmatch(_text(value)):
        raise ValueError(f"{value!r} is no digest")
    return str(value)
