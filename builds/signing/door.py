"""The way to the signer: what may be asked of it, and what it answers."""

from __future__ import annotations

import base64
import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from builds.signing import wire

SUFFIXES = (".sig", ".minisig")
CMS_SUFFIX = ".p7s"  # for iPXE; the only files that are no text
# The signer says that it lives every few seconds while it hashes; one that hangs does not.
SILENCE = 30.0  # seconds


class SignerAway(OSError):
    """The signer can't be reached, or can't do its work right now: ask again later."""


class Refused(Exception):
    """The signer does not sign this; the text says why, and asking again changes nothing."""


class Stranger(Refused):
    """It does not sign for whoever asked: the lease is somebody else's, or has run out."""


class NumberSpent(Refused):
    """The number is taken by other bytes; `newest` is the last that was signed."""

    def __init__(self, text: str, newest: int) -> None:
        super().__init__(text)
        self.newest = newest


@dataclass(frozen=True, slots=True)
class Signed:
    """Signatures by their files' names, the key's id, and what they sign: SHA-256 by name."""

    files: Mapping[str, bytes]
    key: str
    digests: Mapping[str, str]


class Signer(Protocol):
    """What asks the signer one question; the one way for processes, the other for tests."""

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The signer's answer. Raises SignerAway."""


class SocketSigner:
    """The signer in a process of its own."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """See Signer."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(SILENCE)
                connection.connect(str(self._path))
                with contextlib.suppress(BrokenPipeError):  # who is turned away is told why
                    wire.send(connection, question, within=SILENCE)
                while "working" in (answer := _received(connection)):
                    pass
        except (OSError, wire.BadFrame) as error:
            raise SignerAway(f"the signer at {self._path} does not answer: {error}") from None
        return answer


def _received(connection: socket.socket) -> dict[str, Any]:
    return wire.receive(connection, wire.LARGEST_ANSWER, within=SILENCE)


def sign_release(release: int, fence: int) -> Signed:
    """Sums and manifest of a draft, signed; by whoever holds it under this fence.

    Raises Stranger, NumberSpent, Refused and SignerAway.
    """
    return _signed({"act": "sign-release", "release": release, "fence": fence})


def sign_again(release: int) -> Signed:
    """Those of a published release, signed by the key that is the current one now."""
    return _signed({"act": "sign-again", "release": release})


def sign_moving(channel: str) -> Signed:
    """The sums that move, as the channel's heads have them now."""
    return _signed({"act": "sign-moving", "channel": channel})


def key_papers() -> dict[str, bytes]:
    """The public files of the keys by name. Raises Refused where there is no key."""
    return {name: text.encode() for name, text in _ask({"act": "keys"})["papers"].items()}


def signer() -> Signer:
    """The way to the signer that the settings name."""
    wanted = cast("dict[str, Any]", settings.SIGNER)
    return _way(wanted["BACKEND"], tuple(sorted(wanted["OPTIONS"].items())))


@cache
def _way(backend: str, options: tuple[tuple[str, str], ...]) -> Signer:
    return cast("Signer", import_string(backend)(**dict(options)))


def _signed(question: dict[str, Any]) -> Signed:
    answer = _ask(question)
    files = {name: _bytes(name, text) for name, text in answer["files"].items()}
    return Signed(files, answer["key"], answer["digests"])


def _bytes(name: str, text: str) -> bytes:
    return base64.b64decode(text) if name.endswith(CMS_SUFFIX) else text.encode()


def _ask(question: dict[str, Any]) -> dict[str, Any]:
    answer = signer().ask(question)
    if "away" in answer:
        raise SignerAway(str(answer["away"]))
    if "newest" in answer:
        raise NumberSpent(str(answer["refused"]), int(answer["newest"]))
    if "stranger" in answer:
        raise Stranger(str(answer["stranger"]))
    if "refused" in answer:
        raise Refused(str(answer["refused"]))
    return answer
