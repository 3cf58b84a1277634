"""OpenPGP, which simplestreams' readers verify: texts signed in clear with the portal's key."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from pysequoia import Tsk

# A text is signed once per process: the index and a list per channel, some of them changing.
_REMEMBERED = 64


def can_sign() -> bool:
    """Whether the settings name a key."""
    return bool(settings.OPENPGP_KEY_FILE)


@lru_cache(maxsize=_REMEMBERED)
def clear_signed(data: bytes) -> bytes:
    """A text with its signature around it (RFC 9580, section 7)."""
    from pysequoia import SignatureMode, sign  # noqa: PLC0415 - where there is a key only

    return sign(_key().signer(), data, mode=SignatureMode.CLEAR)


def public_key() -> bytes:
    """The key by which the signatures are verified, in ASCII."""
    return bytes(str(_key().extract_certificate()), "ascii")


def _key() -> Tsk:
    from pysequoia import Tsk  # noqa: PLC0415 - where there is a key only

    return Tsk.from_bytes(Path(settings.OPENPGP_KEY_FILE).read_bytes())
