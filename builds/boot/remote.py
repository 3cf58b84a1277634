"""Reads releases as any client does: over HTTP, from a portal or a mirror of its files."""

from __future__ import annotations

import hashlib
import http.client
import json
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from builds.choices import Role, System, Variant
from builds.storage import channel_key, release_key

_PATIENCE = 30.0
_BLOCK = 1 << 20
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# What a guest in QEMU's own network calls the machine that it runs on.
_HOST_FOR_GUESTS = "10.0.2.2"

Progress = Callable[[str, int, int], None]


class PortalError(Exception):
    """The portal can't be reached, or does not have what was asked for; one sentence or two."""


class NotThere(PortalError):
    """The portal has no such file."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a release: `size` in bytes, `sha256` as 64 hex digits."""

    name: str
    variant: Variant
    role: Role
    size: int
    sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class RemoteRelease:
    """A published release, as its manifest tells it; `kernel_params` are those of its netboot."""

    channel: str
    version: str
    system: System
    kernel_params: str
    files: tuple[RemoteFile, ...]

    def file(self, role: Role, variant: Variant) -> RemoteFile:
        """The file of a variant; of several forms the gzip one. Raises PortalError."""
        found = [file for file in self.files if (file.role, file.variant) == (role, variant)]
        if not found:
            has = ", ".join(sorted({file.variant for file in self.files})) or "nothing"
            raise PortalError(f"{self} has no {variant} ({role}); it has {has}.")
        return min(found, key=lambda file: not file.name.endswith(".gz"))

    def __str__(self) -> str:
        return f"{self.channel} {self.version} {self.system}"


@dataclass(frozen=True, slots=True)
class Portal:
    """A portal, or a mirror of its storage, by its URL."""

    url: str

    @property
    def url_for_guests(self) -> str:
        """Its URL for a QEMU guest, to which this machine's loopback is 10.0.2.2."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.hostname not in _LOOPBACK:
            return self.url
        port = f":{parts.port}" if parts.port else ""
        return parts._replace(netloc=f"{_HOST_FOR_GUESTS}{port}").geturl()

    @property
    def speaks_http(self) -> bool:
        """Whether iPXE and BusyBox can load from it: most builds of them have no HTTPS."""
        return self.url.startswith("http://")

    def release(self, channel: str, system: System, version: str = "") -> RemoteRelease:
        """A published release, the latest where no version is named. Raises PortalError."""
        is_latest = not version
        if is_latest:
            latest = self._json(channel_key(channel, f"latest-{system}.json"))
            version = str(latest.get("version", ""))
        record = self._json(release_key(channel, version, f"release-{system}.json"))
        if is_latest:
            said = self._timestamp(channel, system, version) or record
            _refuse_if_expired(said, f"{channel} {version}", at=datetime.now(UTC))
        try:
            return _release(record, channel, version, system)
        except (KeyError, TypeError, ValueError) as wrong:
            raise PortalError(f"The manifest of {channel} {version} is strange: {wrong}.") from None

    def _timestamp(self, channel: str, system: System, version: str) -> dict[str, Any] | None:
        """What the portal's signer says every day of its latest; None where it says nothing."""
        try:
            said = self._json(channel_key(channel, f"timestamp-{system}.json"))
        except NotThere:
            return None
        if said.get("version") != version:
            raise PortalError(
                f"{self.url} names {version} as the latest of {channel}, and its timestamp "
                f"{said.get('version')}: was one published just now? Then try again."
            )
        return said

    def fetch(self, file: RemoteFile, cache: Path, progress: Progress) -> Path:
        """The file on this machine, its digest verified; kept in the cache by its digest.

        Raises PortalError, also where what came is not what the manifest says.
        """
        kept = cache / file.sha256 / file.name
        if kept.is_file() and _digest(kept) == file.sha256:
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            part = Path(folder) / file.name
            self._download(file, part, progress)
            if _digest(part) != file.sha256:
                raise PortalError(f"{file.name} came damaged: its digest is not {file.sha256}.")
            part.replace(kept)
        return kept

    def _download(self, file: RemoteFile, part: Path, progress: Progress) -> None:
        received = 0
        with self._open(file.path) as answer, part.open("wb") as target:
            while block := _read(answer, f"{self.url}/{file.path}"):
                received += target.write(block)
                progress(file.name, received, file.size)

    def _json(self, path: str) -> dict[str, Any]:
        with self._open(path) as answer:
            try:
                record = json.loads(answer.read())
            except ValueError:
                record = None
        if not isinstance(record, dict):
            raise PortalError(f"{self.url}/{path} is no record of a release: is it a portal?")
        return record

    def _open(self, path: str) -> Any:
        url = f"{self.url}/{path}"
        try:
            # The command has checked that it is http(s).
            return urllib.request.urlopen(url, timeout=_PATIENCE)  # noqa: S310  # nosec B310
        except urllib.error.HTTPError as refused:
            with refused:
                said = refused.read(2000).decode("utf-8", "replace").strip().split("\n")[0]
            kind = NotThere if refused.code == HTTPStatus.NOT_FOUND else PortalError
            raise kind(f"{url} answers {refused.code}: {said}") from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            raise PortalError(
                f"Nothing answers at {self.url} ({why}): start the portal with make run, or name "
                "another one with --portal."
            ) from None


def _refuse_if_expired(record: dict[str, Any], name: str, *, at: datetime) -> None:
    """An old release may be asked for by its version, but is nobody's latest. Raises PortalError.

    Manifests of older portals say nothing of it.
    """
    try:
        expires_at = datetime.fromisoformat(record.get("expires_at") or "9999-12-31T00:00:00Z")
        is_over = expires_at <= at
    except (TypeError, ValueError):
        is_over = True
    if is_over:
        raise PortalError(
            f"{name} is said to be the latest, and its time was over on "
            f"{record.get('expires_at')}: is this an old mirror? Name the version to boot it."
        )


def _read(answer: Any, url: str) -> bytes:
    try:
        return bytes(answer.read(_BLOCK))
    except (OSError, http.client.HTTPException) as broken:
        raise PortalError(f"{url} broke off: {broken}.") from None


def _release(record: dict[str, Any], channel: str, version: str, system: System) -> RemoteRelease:
    folder = release_key(channel, version, "x").removesuffix("x")
    files = tuple(
        RemoteFile(
            name=artifact["name"],
            variant=Variant(artifact["variant"]),
            role=Role(artifact["role"]),
            size=int(artifact["size"]),
            sha256=artifact["sha256"],
            path=f"{folder}{artifact['name']}",
        )
        for artifact in record["artifacts"]
    )
    params = {build["variant"]: build["kernel_params"] for build in record["builds"]}
    return RemoteRelease(channel, version, system, params.get(Variant.NETBOOT, ""), files)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
