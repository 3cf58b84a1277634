"""Signatures as Standard Webhooks describes them: HMAC-SHA256 over id, timestamp and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"


def derive_secret(key: str, nonce: str) -> str:
    """The secret that belongs to a nonce, as subscribers get it: whsec_ and 32 bytes in base64.

    It is made from the portal's own key, so that a copy of the database signs nothing.
    """
    digest = hmac.digest(key.encode(), f"builds.webhook:{nonce}".encode(), hashlib.sha256)
    return PREFIX + base64.b64encode(digest).decode()


def headers(event_id: str, body: bytes, secrets: Iterable[str], *, at: datetime) -> dict[str, str]:
    """The three headers that let a receiver verify a body, signed with each of the secrets."""
    timestamp = str(int(at.timestamp()))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_sign(secret, signed) for secret in secrets),
    }


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
