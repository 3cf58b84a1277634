"""Signatures: keys, what was signed, and the way to the signer; knows nothing of rows."""

from builds.signing import cms
from builds.signing.door import (
    CMS_SUFFIX,
    SUFFIXES,
    NumberSpent,
    Refused,
    Signed,
    SignerAway,
    SocketSigner,
    Stranger,
    key_papers,
    sign_again,
    sign_moving,
    sign_release,
    signer,
)
from builds.signing.dsse import Envelope, opened, pem
from builds.signing.dsse import verify as verify_envelope
from builds.signing.keyring import Keyring, NoKey, SigningKey
from builds.signing.keys import BOOT_CA, PAPERS, BadKeys, KeySet, ReleaseKey, read_signed
from builds.signing.ledger import Ledger, Place, Spent, Torn
from builds.signing.sshsig import BadSignature, fingerprint, root_line, signer_line

__all__ = [
    "BOOT_CA",
    "CMS_SUFFIX",
    "PAPERS",
    "SUFFIXES",
    "BadKeys",
    "BadSignature",
    "Envelope",
    "KeySet",
    "Keyring",
    "Ledger",
    "NoKey",
    "NumberSpent",
    "Place",
    "Refused",
    "ReleaseKey",
    "Signed",
    "SignerAway",
    "SigningKey",
    "SocketSigner",
    "Spent",
    "Stranger",
    "Torn",
    "cms",
    "fingerprint",
    "key_papers",
    "opened",
    "pem",
    "read_signed",
    "root_line",
    "sign_again",
    "sign_moving",
    "sign_release",
    "signer",
    "signer_line",
    "verify_envelope",
]
