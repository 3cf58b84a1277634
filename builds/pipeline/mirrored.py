"""What the storage tells of releases: manifests, and the files that move, read with suspicion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from builds.choices import ReleaseStatus, Role, System, Variant
from builds.models.artifact import DIGEST
from builds.pipeline import documents, naming
from builds.pipeline.scrub import Expected, difference
from builds.signing import CMS_SUFFIX, SUFFIXES, BadSignature, KeySet, ReleaseKey, opened
from builds.storage import ROOT, artifacts, channel_key, release_key

_PAPERS = frozenset().union(*map(naming.paper_names, System))


class Refused(Exception):
    """Something in the storage can't be taken for what it says; the text says why."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A release that the storage has a manifest of; `modified_at` is when that was written."""

    channel: str
    version: str
    system: System
    modified_at: datetime
    data: bytes
    manifest: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.channel} {self.version} {self.system}"

    @property
    def sequence(self) -> int:
        """Its number among those of its channel and system."""
        return int(self.manifest["sequence"])

    @property
    def files(self) -> list[Expected]:
        """Its artifacts as they should be."""
        told = self.manifest["artifacts"]
        return [Expected(each["name"], each["sha256"], each["size"]) for each in told]

    @property
    def tarballs(self) -> list[Expected]:
        """Those of its artifacts that somebody will unpack: by their role, or by their name."""
        roles = {each["name"]: each["role"] for each in self.manifest["artifacts"]}
        return [f for f in self.files if roles[f.name] == Role.TARBALL or ".tar." in f.name]

    @property
    def size(self) -> int:
        """The bytes of all its artifacts together."""
        return sum(file.size or 0 for file in self.files)

    def key(self, name: str) -> str:
        """Where a file of it lies; raises ValueError for what can't be a name."""
        return release_key(self.channel, self.version, name)

    @property
    def sums(self) -> bytes:
        """Its sums file as the manifest has it."""
        return documents.sums(documents.Line(file.sha256, file.name) for file in self.files)

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """What the manifest says of provenance and SBOM, by their names, where it has any."""
        return {each["name"]: each for each in self.manifest.get("documents", [])}

    @property
    def paper_names(self) -> frozenset[str]:
        """The names of the files that may lie beside its artifacts."""
        unnamed = {*naming.document_names(self.system)} - self.documents.keys()
        signatures = {f"{file.name}{CMS_SUFFIX}" for file in self.files}
        return (naming.paper_names(self.system) | signatures) - unnamed

    @property
    def papers(self) -> dict[str, str]:
        """The digests of its papers, and of the signatures that lie beside them."""
        papers = {
            naming.sums_name(self.system): self.sums,
            naming.manifest_name(self.system): self.data,
        }
        for name in sorted(self.paper_names - papers.keys()):
            data = artifacts().read(self.key(name))
            if data is not None:
                papers[name] = data
        return {name: documents.digest(data) for name, data in papers.items()}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: the release keys, None where none is known; `unsigned`: also nobody."""

    keys: KeySet | None
    unsigned: bool

    def signer_of(self, release: Mirrored) -> str:
        """The id of the key that signed a release; "" where that is not known, or nobody did.

        Raises Refused, and OSError.
        """
        signed = {name for name in release.papers if name.endswith(SUFFIXES)}
        if self.keys is None:
            return ""
        if not signed and self.unsigned:
            return ""
        if not signed:
            raise Refused("it is not signed; restore --unsigned takes what nobody has signed")
        name, sums = naming.manifest_name(release.system), naming.sums_name(release.system)
        key = self._key(release, name, release.data)
        if self._key(release, sums, release.sums) != key:
            raise Refused("its sums and its manifest are signed by two keys")
        self._check_envelopes(release)
        return key.id

    def _check_envelopes(self, release: Mirrored) -> None:
        assert self.keys is not None
        for name in filter(naming.is_envelope, release.documents):
            try:
                self.keys.check_envelope(artifacts().read(release.key(name)) or b"")
            except BadSignature as wrong:
                raise Refused(f"{name}: {wrong}") from None

    def _key(self, release: Mirrored, name: str, data: bytes) -> ReleaseKey:
        assert self.keys is not None
        names = naming.signature_names(name)
        ssh, mini = (artifacts().read(release.key(each)) for each in names)
        try:
            return self.keys.check(data, ssh or b"", mini)
        except BadSignature as wrong:
            raise Refused(f"{name}: {wrong}") from None


@dataclass(slots=True)
class Shelf:
    """What the storage has of one channel: keys of manifests with their times."""

    channel: str
    manifests: list[tuple[str, datetime]] = field(default_factory=list)

    def history(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What became of its releases, by system and version; empty where that is not told."""
        record = _moving(self.channel, naming.history_name())
        return {(each["system"], each["version"]): each for each in record.get("releases", [])}

    def latest(self, system: System) -> dict[str, Any]:
        """The record of the latest release; empty where that is not told."""
        return _moving(self.channel, naming.latest_name(system))


def shelves() -> list[Shelf]:
    """Every channel's part of the storage that holds a release, or tells of one."""
    found: dict[str, Shelf] = {}
    for file in artifacts().walk(ROOT):
        channel, _, rest = file.key.removeprefix(f"{ROOT}/").partition("/")
        version, _, name = rest.rpartition("/")
        if version and naming.is_manifest(name):
            found.setdefault(channel, Shelf(channel)).manifests.append((file.key, file.modified_at))
        elif rest == naming.history_name():
            found.setdefault(channel, Shelf(channel))
    return [found[channel] for channel in sorted(found)]


def read(shelf: Shelf) -> Iterator[Mirrored | Refused]:
    """The releases of one channel, the oldest of each system first."""
    read_well: list[Mirrored] = []
    for key, modified_at in shelf.manifests:
        try:
            read_well.append(_read(key, modified_at))
        except (Refused, ValueError, KeyError, TypeError, AttributeError) as error:
            yield Refused(f"{key}: {error}")
    yield from sorted(read_well, key=lambda each: (each.system, each.manifest["sequence"]))


def check_files(release: Mirrored) -> None:
    """Raises Refused where a file is not what the manifest says, OSError where it can't be read."""
    sums = artifacts().read(release.key(naming.sums_name(release.system)))
    if sums != release.sums:
        raise Refused("its sums file and its manifest do not agree")
    check_documents(release, lambda name: artifacts().read(release.key(name)))
    for file in release.files:
        wrong = difference(release.key(file.name), file, lambda _size: None)
        if wrong:
            raise Refused(f"{file.name}: {wrong}")


def check_documents(release: Mirrored, read: Callable[[str], bytes | None]) -> None:
    """Raises Refused where provenance or SBOM are not those that the manifest names."""
    for name, told in release.documents.items():
        data = read(name)
        if data is None:
            raise Refused(f"its manifest names {name}, which is missing")
        try:
            content = opened(data).payload if naming.is_envelope(name) else data
        except BadSignature as wrong:
            raise Refused(f"{name}: {wrong}") from None
        if documents.digest(content) != told[_digest_field(name)]:
            raise Refused(f"{name} is not the one that its manifest names")


def status_of(line: dict[str, Any] | None) -> ReleaseStatus:
    """What became of a release; where the storage does not tell, it is published."""
    status = ReleaseStatus(line["status"]) if line else ReleaseStatus.PUBLISHED
    if status not in ReleaseStatus.known_to_outside():
        raise Refused(f"its status can't be {status}")
    return status


def time_of(text: str | None) -> datetime | None:
    """A time as the records write it; raises ValueError."""
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at


def parsed(key: str, data: bytes, modified_at: datetime) -> Mirrored:
    """The release that the manifest under a key tells of.

    Raises Refused, ValueError, KeyError, TypeError or AttributeError where it can't be one.
    """
    channel, version, name = key.removeprefix(f"{ROOT}/").split("/")
    manifest = json.loads(data)
    system = System(manifest["system"])
    if manifest["format"] != documents.MANIFEST_FORMAT:
        raise Refused(f"its format {manifest['format']} is not known")
    said = (manifest["channel"], manifest["version"], naming.manifest_name(system))
    if said != (channel, version, name):
        raise Refused("it is the manifest of another release")
    if not _is_count(manifest["sequence"]):
        raise Refused(f"its sequence can't be {manifest['sequence']!r}")
    _check_artifacts(channel, version, manifest["artifacts"])
    _check_documents(system, manifest.get("documents", []))
    return Mirrored(channel, version, system, modified_at, data, manifest)


def _read(key: str, modified_at: datetime) -> Mirrored:
    return parsed(key, artifacts().read(key) or b"", modified_at)


def _check_artifacts(channel: str, version: str, told: list[dict[str, Any]]) -> None:
    names = [each["name"] for each in told]
    if len(set(names)) != len(names) or _PAPERS & set(names):
        raise Refused("it names a file twice")
    for each in told:
        release_key(channel, version, each["name"])
        Variant(each["variant"]), Role(each["role"])
        if re.fullmatch(DIGEST, each["sha256"]) is None:
            raise Refused(f"the digest of {each['name']} can't be {each['sha256']!r}")
        if not _is_count(each["size"]):
            raise Refused(f"the size of {each['name']} can't be {each['size']!r}")


def _check_documents(system: System, told: list[dict[str, Any]]) -> None:
    names = [each["name"] for each in told]
    if len(set(names)) != len(names) or {*names} - {*naming.document_names(system)}:
        raise Refused("it names a document twice, or one that is none")
    for each in told:
        if re.fullmatch(DIGEST, each[_digest_field(each["name"])]) is None:
            raise Refused(f"the digest of {each['name']} is none")


def _digest_field(name: str) -> str:
    """Of an envelope what is signed has the digest: its signature may be another later."""
    return "payload_sha256" if naming.is_envelope(name) else "sha256"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _moving(channel: str, name: str) -> dict[str, Any]:
    data = artifacts().read(channel_key(channel, name))
    try:
        record = json.loads(data) if data else {}
    except ValueError as error:
        raise Refused(f"{name} of {channel} can't be read: {error}") from error
    return record if isinstance(record, dict) else {}
