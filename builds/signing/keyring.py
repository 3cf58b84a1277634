"""The folder of the signer's keys, which nobody else reads."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from builds.choices import KeyStatus
from builds.signing import cms, dsse, minisig, sshsig
from builds.signing.files import private, write_folder
from builds.signing.keys import (
    BOOT_CA,
    KEYS,
    KEYS_SIGNATURE,
    BadKeys,
    KeySet,
    ReleaseKey,
    read_signed,
)

YEAR = timedelta(days=365)
# For so long two keys are valid: whoever looks for new keys once a month has the next in time.
OVERLAP = timedelta(days=60)


class NoKey(Exception):
    """There is nothing to sign with; the text says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A release key with its private halves."""

    key: ReleaseKey
    folder: Path

    @property
    def private(self) -> list[Path]:
        """The private halves that there are."""
        halves = (self.folder / name for name in ("ssh", "minisign", "cms"))
        return [path for path in halves if path.exists()]

    def sign(self, data: bytes, comment: str) -> dict[str, bytes]:
        """The signatures of a text by the suffix of their files; the comment is minisign's."""
        return {
            ".sig": sshsig.sign(data, self.folder / "ssh", sshsig.NAMESPACE),
            ".minisig": minisig.sign(data, self.folder / "minisign", comment),
        }

    def attest(self, statement: bytes) -> bytes:
        """The DSSE envelope of a statement."""
        return dsse.sign(statement, self.folder / "ssh", self.key.id)

    def sign_digest(self, sha256: str) -> bytes | None:
        """The signature for iPXE of what has this digest; None where the key has no certificate."""
        if not (self.folder / "cms.pem").is_file():
            return None
        return cms.sign(sha256, self.folder)


class Keyring:
    """root, root.pub, release/<id>/, published/<serial>/ and boot-ca/ in a folder of mode 0700.

    `root` is there in the embedded default only; it belongs on another machine, and so does
    `boot-ca/ca.key`, which is wanted only when a release key is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "signed.jsonl"
        self._root = folder / "root"
        self._published = folder / "published"
        self._boot_ca = folder / "boot-ca"

    @property
    def is_there(self) -> bool:
        """Whether keys were made here."""
        return self._root.with_suffix(".pub").exists()

    @property
    def has_root(self) -> bool:
        """Whether the root's private half lies here, too."""
        return self._root.exists()

    @property
    def root(self) -> str:
        """The root's public key."""
        return sshsig.public_key(self._root.with_suffix(".pub"))

    def make(self, *, at: datetime, root: Path | None = None) -> None:
        """Make the folder and a root key, or take the public half of one; then release keys.

        With a root from elsewhere they wait for its signature: see `request`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        with self._locked():
            if self.is_there:
                raise NoKey(f"{self.folder} has keys already; keys rotate makes new ones")
            if root is None:
                sshsig.make_key(self._root, "nixos-images root")
            else:
                public = f"{sshsig.public_key(root)}\n"
                self._root.with_suffix(".pub").write_text(public)
        if root is None:
            self.sign_and_install(self.first(at=at))

    def read(self) -> KeySet:
        """The release keys as the root has signed them last. Raises NoKey."""
        data, signature = self._newest()
        try:
            return read_signed(data, signature, self.root)
        except (BadKeys, sshsig.BadSignature) as error:
            raise NoKey(f"{KEYS} in {self.folder} can't be used: {error}") from None

    def papers(self) -> dict[str, bytes]:
        """The public files by name. Raises NoKey."""
        found = self.read().papers(*self._newest())
        certificate = self._boot_ca / "ca.pem"
        return found | ({BOOT_CA: certificate.read_bytes()} if certificate.is_file() else {})

    def signing_key(self, at: datetime) -> SigningKey:
        """What signs now. Raises NoKey, and OSError where others may read it."""
        key = self.read().current
        if key is None:
            raise NoKey("no release key is current: keys rotate")
        if not key.is_valid(at):
            raise NoKey(f"the key {key.id} is valid until {key.valid_before:%Y-%m-%d}: keys rotate")
        found = SigningKey(key, self._private(key))
        if not found.folder.is_dir():
            raise NoKey(f"the private half of {key.id} is gone: keys rotate")
        for path in found.private:
            private(path)
        return found

    # What may become of the keys: each gives a new set, for the root to sign.

    def first(self, *, at: datetime) -> KeySet:
        """The first two keys."""
        current = self._new_key(KeyStatus.CURRENT, at)
        following = self._new_key(KeyStatus.NEXT, current.valid_before - OVERLAP)
        return KeySet(1, at, self.root, (current, following))

    def rotated(self, *, at: datetime) -> KeySet:
        """The next key signs from now on, the current one is retired, a new one waits."""
        return self._succeeded(self.read(), KeyStatus.RETIRED, at)

    def revoked(self, key_id: str, *, at: datetime) -> KeySet:
        """What this key has signed stands no more; where it is the current one the next signs."""
        found = self.read()
        key = found.named(key_id)
        if key is None:
            known = ", ".join(each.id for each in found.keys)
            raise NoKey(f"there is no key {key_id}; known: {known}")
        if key.status == KeyStatus.CURRENT:
            return self._succeeded(found, KeyStatus.REVOKED, at)
        keys = [_standing(each, KeyStatus.REVOKED) if each == key else each for each in found.keys]
        if key.status == KeyStatus.NEXT and found.current is not None:
            begin = max(at, found.current.valid_before - OVERLAP)
            keys.append(self._new_key(KeyStatus.NEXT, begin))
        return replace(found, serial=found.serial + 1, made_at=at, keys=tuple(keys))

    def sign_and_install(self, proposed: KeySet) -> None:
        """Have the root that lies here sign a set, and use it. Raises NoKey."""
        if not self.has_root:
            raise NoKey("the root key is not here: keys request, then sign-root where it is")
        data = proposed.to_json()
        self.install(data, sshsig.sign(data, self._root, sshsig.KEYS_NAMESPACE))

    def install(self, data: bytes, signature: bytes) -> KeySet:
        """Use a set that the root has signed; destroys what may sign no more. Raises NoKey."""
        try:
            found = read_signed(data, signature, self.root)
        except (BadKeys, sshsig.BadSignature) as error:
            raise NoKey(f"it can't be used: {error}") from None
        with self._locked():
            self._refuse_to_go_back(found)
            self._refuse_strange_keys(found)
            files = {KEYS: data, KEYS_SIGNATURE: signature}
            write_folder(self._published / str(found.serial), files)
        for key in found.keys:
            if key.status in {KeyStatus.RETIRED, KeyStatus.REVOKED}:
                shutil.rmtree(self._private(key), ignore_errors=True)
        return found

    def _succeeded(self, found: KeySet, status: KeyStatus, at: datetime) -> KeySet:
        """The current key gets a status, and the next one takes its place for a year."""
        heir = found.with_status(KeyStatus.NEXT)
        if heir is not None and self._private(heir).is_dir():
            new = replace(heir, status=KeyStatus.CURRENT, valid_after=at, valid_before=at + YEAR)
        else:
            new = self._new_key(KeyStatus.CURRENT, at)
        keys = [_standing(key, status) for key in found.keys if key.status == KeyStatus.CURRENT]
        keys += [
            _standing(key, KeyStatus.RETIRED) if key.status == KeyStatus.NEXT else key
            for key in found.keys
            if key.status != KeyStatus.CURRENT and key.id != new.id
        ]
        following = self._new_key(KeyStatus.NEXT, new.valid_before - OVERLAP)
        made = (new, following, *keys)
        return replace(found, serial=found.serial + 1, made_at=at, keys=made)

    def _new_key(self, status: KeyStatus, begin: datetime) -> ReleaseKey:
        with_id = f"{begin:%Y-%m-%d}-{os.urandom(4).hex()}"
        folder = self.folder / "release" / with_id
        folder.mkdir(parents=True, mode=0o700)
        sshsig.make_key(folder / "ssh", with_id)
        minisig.make_key(folder / "minisign")
        begin = begin.replace(microsecond=0)
        self._certify(folder, until=begin + YEAR + OVERLAP)
        return ReleaseKey(
            id=with_id,
            status=status,
            valid_after=begin,
            valid_before=begin + YEAR,
            ssh=sshsig.public_key(folder / "ssh.pub"),
            minisign=minisig.public_key(folder / "minisign"),
        )

    def _certify(self, folder: Path, *, until: datetime) -> None:
        """Make what signs for iPXE; a key that is made while the CA's is away does not."""
        now = datetime.now(UTC)
        if not (self._boot_ca / "ca.pem").exists():
            self._boot_ca.mkdir(mode=0o700, exist_ok=True)
            cms.make_ca(self._boot_ca, at=now)
        if (self._boot_ca / "ca.key").exists():
            # From now on: the next key may have to sign before its time.
            since = now - timedelta(days=1)
            cms.make_key(
                folder, self._boot_ca, f"NixOS images {folder.name}", since=since, until=until
            )

    def _refuse_to_go_back(self, found: KeySet) -> None:
        if self._serials() and found.serial <= self._serials()[-1]:
            raise NoKey(f"it is number {found.serial}, and number {self._serials()[-1]} is in use")
        for key in self.read().keys if self._serials() else ():
            there = found.named(key.id)
            if there is None or (not key.is_trusted and there.is_trusted):
                raise NoKey(f"it forgets what became of the key {key.id}")

    def _refuse_strange_keys(self, found: KeySet) -> None:
        for key in found.keys:
            signs = key.status in {KeyStatus.CURRENT, KeyStatus.NEXT}
            if signs and not self._private(key).is_dir():
                raise NoKey(f"the private half of {key.id} is not here; was it asked for here?")

    def _newest(self) -> tuple[bytes, bytes]:
        if not self._serials():
            raise NoKey(f"no key of {self.folder} is signed by the root yet: keys request")
        folder = self._published / str(self._serials()[-1])
        return (folder / KEYS).read_bytes(), (folder / KEYS_SIGNATURE).read_bytes()

    def _serials(self) -> list[int]:
        if not self._published.is_dir():
            return []
        names = (entry.name for entry in self._published.iterdir())
        return sorted(int(name) for name in names if name.isdecimal())

    def _private(self, key: ReleaseKey) -> Path:
        return self.folder / "release" / key.id

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _standing(key: ReleaseKey, status: KeyStatus) -> ReleaseKey:
    return replace(key, status=status)
