"""How an API token is written: nip_, 43 letters and digits of chance, 6 of a checksum."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "nip_"
BITS = 256
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHANCE, _CHECKSUM = 43, 6  # letters: 62 ** 43 holds 256 bits, 62 ** 6 the 32 of a CRC
HINT = len(PREFIX) + 4  # letters by which its owner knows it again; 232 bits stay unknown
LETTERS = len(PREFIX) + _CHANCE + _CHECKSUM
SHAPE = rf"{PREFIX}[0-9A-Za-z]{{{_CHANCE + _CHECKSUM}}}"
_WHOLE = re.compile(SHAPE, re.ASCII)
_ANYWHERE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{20}}", re.ASCII)


class NoToken(ValueError):
    """A text that can't be a token; it says why, and nothing of the text."""


def new_text() -> str:
    """A token that nobody can guess."""
    chance = _in_letters(secrets.randbits(BITS), _CHANCE)
    return f"{PREFIX}{chance}{_checksum(chance)}"


def digest_of(text: str) -> str:
    """The SHA-256 under which a token is kept, in hex.

    Raises NoToken for what was cut, mistyped or is something else: no database is asked for it.
    """
    if not text.startswith(PREFIX):
        raise NoToken(f"It does not begin with {PREFIX}, as this portal's tokens do.")
    if not _WHOLE.fullmatch(text):
        raise NoToken(f"A token is {LETTERS} letters and digits long; this one is not whole.")
    chance, checksum = text[len(PREFIX) : -_CHECKSUM], text[-_CHECKSUM:]
    if checksum != _checksum(chance):
        raise NoToken("Its checksum is wrong: a letter of it was changed on the way.")
    return hashlib.sha256(text.encode()).hexdigest()


def holds_token(text: str) -> bool:
    """Whether a token, or the better part of one, stands in a text."""
    return _ANYWHERE.search(text) is not None


def _checksum(chance: str) -> str:
    return _in_letters(zlib.crc32(chance.encode()), _CHECKSUM)


def _in_letters(number: int, length: int) -> str:
    letters = ""
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[digit] + letters
    return letters
