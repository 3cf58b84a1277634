"""keys.json: the release keys that there are, as the root key signs them; what verifiers trust."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from builds.choices import KeyStatus
from builds.signing import dsse, minisig, sshsig
from builds.signing.sshsig import BadSignature

FORMAT = 1
LONGEST = timedelta(days=366)
KEYS, KEYS_SIGNATURE = "keys.json", "keys.json.sig"
ALLOWED_SIGNERS, MINISIGN, PEM = "allowed_signers", "minisign.pub", "release.pem"
BOOT_CA = "boot-ca.pem"
PAPERS = (ALLOWED_SIGNERS, MINISIGN, PEM, KEYS, KEYS_SIGNATURE, BOOT_CA)

_ID = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9a-f]{8}")
_DAY = timedelta(days=1)


class BadKeys(ValueError):
    """A set of keys can't be used; the text says why."""


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """A pair of each form, used together: `ssh` as OpenSSH writes it, `minisign` as -P takes it."""

    id: str
    status: KeyStatus
    valid_after: datetime
    valid_before: datetime
    ssh: str
    minisign: str

    def is_valid(self, at: datetime) -> bool:
        """Whether what it signs then can be verified."""
        return self.valid_after <= at < self.valid_before

    @property
    def is_trusted(self) -> bool:
        """Whether what it has signed stands."""
        return self.status != KeyStatus.REVOKED


@dataclass(frozen=True, slots=True)
class KeySet:
    """All release keys that ever were; `serial` grows with each change, `root` is its ssh key."""

    serial: int
    made_at: datetime
    root: str
    keys: tuple[ReleaseKey, ...]

    @property
    def current(self) -> ReleaseKey | None:
        """The key that signs."""
        return self.with_status(KeyStatus.CURRENT)

    def with_status(self, status: KeyStatus) -> ReleaseKey | None:
        """The first key that stands so."""
        return next((key for key in self.keys if key.status == status), None)

    def named(self, key_id: str) -> ReleaseKey | None:
        """The key of this id."""
        return next((key for key in self.keys if key.id == key_id), None)

    def allowed_signers(self) -> str:
        """What ssh-keygen -Y verify takes: a line for each trusted key, and one for the root.

        By whole days, one more at each end: OpenSSH reads them in the verifier's own time zone.
        """
        lines = [_line(key) for key in self.keys if key.is_trusted]
        return "".join(f"{line}\n" for line in [*lines, f"{sshsig.root_line(self.root)} root"])

    def papers(self, data: bytes, signature: bytes) -> dict[str, bytes]:
        """The public files by name, `data` and `signature` being keys.json and the root's."""
        current = self.current
        found = {KEYS: data, KEYS_SIGNATURE: signature}
        found[ALLOWED_SIGNERS] = self.allowed_signers().encode()
        if current is not None:
            found[MINISIGN] = minisig.public_file(current.minisign)
            found[PEM] = dsse.pem(current.ssh)
        return found

    def check(self, data: bytes, ssh: bytes, mini: bytes | None) -> ReleaseKey:
        """The key whose signatures of `data` these are. Raises BadSignature."""
        key = _signer_of(self, data, ssh)
        if not key.is_trusted:
            raise BadSignature(f"the key {key.id} that signed it is revoked")
        if mini is not None:
            minisig.verify(data, mini, key.minisign)
        return key

    def check_envelope(self, data: bytes) -> ReleaseKey:
        """The key that signed the statement in a DSSE envelope. Raises BadSignature."""
        envelope = dsse.opened(data)
        key = self.named(envelope.key_id)
        if key is None:
            raise BadSignature(f"no release key is called {envelope.key_id[:40]!r}")
        if not key.is_trusted:
            raise BadSignature(f"the key {key.id} that signed it is revoked")
        dsse.verify(envelope, key.ssh)
        return key

    def to_json(self) -> bytes:
        """keys.json, in canonical form."""
        record = {
            "format": FORMAT,
            "namespace": sshsig.NAMESPACE,
            "serial": self.serial,
            "made_at": _instant(self.made_at),
            "root": self.root,
            "keys": [_key_record(key) for key in self.keys],
        }
        text = json.dumps(record, sort_keys=True, indent=2, ensure_ascii=False)
        return f"{text}\n".encode()

    @classmethod
    def from_json(cls, data: bytes) -> KeySet:
        """Read keys.json. Raises BadKeys for whatever is not exactly one."""
        try:
            record = json.loads(data)
            said = (record["format"], record["namespace"])
            read = cls(
                serial=int(record["serial"]),
                made_at=_time(record["made_at"]),
                root=str(record["root"]),
                keys=tuple(_key(each) for each in record["keys"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadKeys(f"it is no list of keys: {error}") from None
        if said != (FORMAT, sshsig.NAMESPACE):
            raise BadKeys("its format is not known")
        _check_set(read)
        return read


@lru_cache(maxsize=64)
def _signer_of(keys: KeySet, data: bytes, ssh: bytes) -> ReleaseKey:
    """The key of the set, whatever its status, that made this SSHSIG. Raises BadSignature."""
    for key in sorted(keys.keys, key=lambda key: key.status != KeyStatus.CURRENT):
        try:
            sshsig.verify(data, ssh, sshsig.signer_line(key.ssh), sshsig.SIGNER, sshsig.NAMESPACE)
        except BadSignature:
            continue
        return key
    raise BadSignature("no release key that the root key names has signed it")


# What a program said once of the same bytes it says again.
@lru_cache(maxsize=8)
def read_signed(data: bytes, signature: bytes, root: str) -> KeySet:
    """A keys.json that this root key has signed. Raises BadSignature and BadKeys."""
    sshsig.verify(data, signature, sshsig.root_line(root), sshsig.ROOT, sshsig.KEYS_NAMESPACE)
    found = KeySet.from_json(data)
    if found.root != root:
        raise BadKeys("it names another root key than the one that signed it")
    return found


def _line(key: ReleaseKey) -> str:
    since, until = key.valid_after - _DAY, key.valid_before + _DAY
    options = f'namespaces="{sshsig.NAMESPACE}",valid-after="{since:%Y%m%d}"'
    options += f',valid-before="{until:%Y%m%d}"'
    return f"{sshsig.SIGNER} {options} {key.ssh} {key.id}"


def _check_set(found: KeySet) -> None:
    statuses = [key.status for key in found.keys]
    if any(statuses.count(one) > 1 for one in (KeyStatus.CURRENT, KeyStatus.NEXT)):
        raise BadKeys("it has two keys that sign at the same time")
    for names in zip(*((key.id, key.ssh, key.minisign) for key in found.keys), strict=True):
        if len(set(names)) < len(names):
            raise BadKeys("it has a key twice")
    if not sshsig.is_public_key(found.root):
        raise BadKeys("its root is no Ed25519 key of OpenSSH")
    for key in found.keys:
        _check_key(key)


def _check_key(key: ReleaseKey) -> None:
    if not _ID.fullmatch(key.id):
        raise BadKeys(f"{key.id!r} is no name of a key")
    if not sshsig.is_public_key(key.ssh) or not minisig.is_public_key(key.minisign):
        raise BadKeys(f"{key.id} has no key of each form")
    if not timedelta(0) < key.valid_before - key.valid_after <= LONGEST:
        raise BadKeys(f"{key.id} is valid for more than a year, or never")


def _key(record: dict[str, Any]) -> ReleaseKey:
    return ReleaseKey(
        id=str(record["id"]),
        status=KeyStatus(record["status"]),
        valid_after=_time(record["valid_after"]),
        valid_before=_time(record["valid_before"]),
        ssh=str(record["ssh"]),
        minisign=str(record["minisign"]),
    )


def _key_record(key: ReleaseKey) -> dict[str, str]:
    return {
        "id": key.id,
        "status": key.status.value,
        "valid_after": _instant(key.valid_after),
        "valid_before": _instant(key.valid_before),
        "ssh": key.ssh,
        "minisign": key.minisign,
    }


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise BadKeys(f"{text!r} has no time zone")
    return at
