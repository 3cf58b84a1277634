"""minisign's signatures: Ed25519 over the BLAKE2b digest, with a comment that is signed too."""

from __future__ import annotations

from pathlib import Path

import minisign

from builds.signing.files import private
from builds.signing.sshsig import BadSignature

_WRONG = (minisign.Error, ValueError)


def make_key(path: Path) -> None:
    """Write a new key to `path`, readable by its owner only, without a password."""
    pair = minisign.KeyPair.generate()
    path.touch(mode=0o600)
    path.write_bytes(bytes(pair.secret_key) + b"\n")


def public_key(path: Path) -> str:
    """The public half of a private key file, as `minisign -P` takes it."""
    public: bytes = minisign.SecretKey.from_file(path).get_public_key().to_base64()
    return public.decode()


def is_public_key(text: str) -> bool:
    """Whether a text is a public key as `minisign -P` takes it."""
    try:
        minisign.PublicKey.from_base64(text)
    except _WRONG:
        return False
    return True


def public_file(public: str) -> bytes:
    """A public key as a file that `minisign -p` takes."""
    return bytes(minisign.PublicKey.from_base64(public)) + b"\n"


def sign(data: bytes, key: Path, comment: str) -> bytes:
    """A signature file; the same data and comment give the same bytes. Raises OSError."""
    try:
        secret = minisign.SecretKey.from_file(private(key))
    except _WRONG:
        raise OSError(f"{key} holds no key of minisign") from None
    return bytes(secret.sign(data, trusted_comment=comment)) + b"\n"


def verify(data: bytes, signature: bytes, public: str) -> str:
    """The comment that was signed with the data. Raises BadSignature."""
    try:
        read = minisign.Signature.from_bytes(signature)
        minisign.PublicKey.from_base64(public).verify(data, read)
    except _WRONG as error:
        raise BadSignature(f"minisign does not accept it: {error}") from None
    if not read.is_prehashed():
        raise BadSignature("minisign does not accept it: its form is the old one")
    return str(read.trusted_comment)
