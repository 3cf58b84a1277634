"""Reads ssh public keys strictly: what passes is a key that sshd takes, and nothing else."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence

from django.utils.translation import gettext

COMMENT_LIMIT = 100
_RSA_BITS = range(2048, 16385)

Parts = Sequence[bytes]


class NotAKey(ValueError):
    """A text is no ssh public key; the message says why, in words for who pasted it."""


def public_key(line: str) -> str:
    """One line of an authorized_keys file: type, base64, and the comment where it has one.

    Options in front of the key are refused. Raises NotAKey.
    """
    if "PRIVATE KEY" in line:
        raise NotAKey(
            gettext("this is a private key, which nobody else may see: paste the .pub file")
        )
    kind, _, rest = line.strip(" \t").partition(" ")
    encoded, _, comment = rest.strip(" \t").partition(" ")
    if kind not in _KINDS:
        said = gettext("it has to begin with its type, one of {kinds}")
        raise NotAKey(said.format(kinds=", ".join(_KINDS)))
    _check(kind, _decoded(encoded))
    return " ".join(filter(None, (kind, encoded, _comment(comment))))


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise NotAKey(gettext("its second word is not base64: was it cut, or wrapped?")) from None


def _check(kind: str, blob: bytes) -> None:
    parts = _parts(blob)
    if not parts or parts[0] != kind.encode():
        raise NotAKey(gettext("its content is no {kind} key: was it cut?").format(kind=kind))
    if not _KINDS[kind](parts[1:]):
        raise NotAKey(gettext("its content is no usable {kind} key").format(kind=kind))


def _parts(blob: bytes) -> list[bytes]:
    """The strings of a blob, each behind its length in four bytes (RFC 4251, section 5)."""
    parts = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            raise NotAKey(gettext("it ends too early: was it cut?"))
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return parts


def _comment(text: str) -> str:
    comment = text.strip(" \t")
    if len(comment) > COMMENT_LIMIT or not comment.isprintable():
        said = gettext("its comment has to be printable, and of {limit} letters at most")
        raise NotAKey(said.format(limit=COMMENT_LIMIT))
    return comment


def _is_ed25519(parts: Parts) -> bool:
    return [len(part) for part in parts] == [32]


def _is_rsa(parts: Parts) -> bool:
    if len(parts) != 2:  # noqa: PLR2004 - exponent and modulus
        return False
    exponent, modulus = (int.from_bytes(part, "big", signed=True) for part in parts)
    return exponent >= 3 and exponent % 2 == 1 and modulus.bit_length() in _RSA_BITS  # noqa: PLR2004


def _is_on_curve(curve: bytes, size: int) -> Callable[[Parts], bool]:
    def check(parts: Parts) -> bool:
        match parts:
            case [name, point]:
                return name == curve and point[:1] == b"\x04" and len(point) == 1 + 2 * size
        return False

    return check


def _is_on_token(check: Callable[[Parts], bool]) -> Callable[[Parts], bool]:
    """Keys of security tokens say behind all else for which application they are."""
    return lambda parts: len(parts) > 1 and parts[-1].startswith(b"ssh:") and check(parts[:-1])


_KINDS: dict[str, Callable[[Parts], bool]] = {
    "ssh-ed25519": _is_ed25519,
    "ssh-rsa": _is_rsa,
    "ecdsa-sha2-nistp256": _is_on_curve(b"nistp256", 32),
    "ecdsa-sha2-nistp384": _is_on_curve(b"nistp384", 48),
    "ecdsa-sha2-nistp521": _is_on_curve(b"nistp521", 66),
    "sk-ssh-ed25519@openssh.com": _is_on_token(_is_ed25519),
    "sk-ecdsa-sha2-nistp256@openssh.com": _is_on_token(_is_on_curve(b"nistp256", 32)),
}
