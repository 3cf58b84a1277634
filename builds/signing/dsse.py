"""DSSE v1: a signature over a statement and its type, both inside one envelope.

    {"payload": base64, "payloadType": "application/vnd.in-toto+json",
     "signatures": [{"keyid": the id of a release key, "sig": base64}]}

The signature is Ed25519 by the release key's SSH half, over PAE(type, payload). What SSHSIG signs
begins with "SSHSIG", what is signed here with "DSSEv1 ": one is never good for the other.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

from builds.signing.files import private
from builds.signing.sshsig import BadSignature

PAYLOAD_TYPE = "application/vnd.in-toto+json"
LARGEST = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an envelope holds; nothing of it is verified yet."""

    payload: bytes
    key_id: str
    signature: bytes


def signed_bytes(payload: bytes) -> bytes:
    """PAE: what is signed of a statement."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, key: Path, key_id: str) -> bytes:
    """An envelope on one line; the same payload and key give the same bytes. Raises OSError."""
    secret = load_ssh_private_key(private(key).read_bytes(), password=None)
    if not isinstance(secret, Ed25519PrivateKey):
        raise OSError(f"{key} is no Ed25519 key")
    signature = secret.sign(signed_bytes(payload))
    record = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
    }
    return f"{json.dumps(record, sort_keys=True, separators=(',', ':'))}\n".encode()


def opened(data: bytes) -> Envelope:
    """What is in an envelope of this form: one line, one signature. Raises BadSignature."""
    try:
        if len(data) > LARGEST or data.count(b"\n") != 1:
            raise ValueError("it is not one line")  # noqa: TRY301 - as any other shape
        match json.loads(data):
            case {
                "payload": str(payload),
                "payloadType": str(kind),
                "signatures": [{"keyid": str(key_id), "sig": str(signature)}],
            } if kind == PAYLOAD_TYPE:
                return Envelope(_decoded(payload), key_id, _decoded(signature))
        raise ValueError("it holds something else than one signed statement")  # noqa: TRY301
    except (ValueError, RecursionError) as wrong:
        raise BadSignature(f"it is no envelope of DSSE: {wrong}") from None


def verify(envelope: Envelope, public: str) -> None:
    """Check an envelope against a public key as OpenSSH writes it. Raises BadSignature."""
    try:
        _public(public).verify(envelope.signature, signed_bytes(envelope.payload))
    except InvalidSignature:
        raise BadSignature("its signature is not by that key, or of other bytes") from None


def pem(public: str) -> bytes:
    """A public key as OpenSSH writes it, in the form that openssl and cosign take."""
    return _public(public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _public(public: str) -> Ed25519PublicKey:
    key = load_ssh_public_key(public.encode())
    assert isinstance(key, Ed25519PublicKey), "release keys are Ed25519"
    return key


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as wrong:
        raise ValueError(f"base64: {wrong}") from None
