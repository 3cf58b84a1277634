"""Files from the outside: a small one whole, a large one in blocks and from any byte on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from builds.outward.addresses import Network
from builds.outward.connection import DEADLINE, Exchange, Unreachable, exchange

BLOCK = 1 << 18
# Bytes as they are: a proxy that packs on the way would change length and digest.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "nixos-images-portal"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


class NotThere(Unreachable):
    """The server has no such file."""


@dataclass(frozen=True, slots=True)
class Body:
    """A file's bytes from `start` on; `size` is that of the whole file, None where not told."""

    start: int
    size: int | None
    answer: Exchange

    def blocks(self) -> Iterator[bytes]:
        """The bytes, in blocks; raises Unreachable where they end too early."""
        left = None if self.size is None else self.size - self.start
        while block := self.answer.read(BLOCK):
            left = None if left is None else left - len(block)
            yield block
        if left:
            raise Unreachable(f"broke off {left} bytes before the end")


def read(
    url: str, most: int, *, allowed: Iterable[Network] = (), deadline: float = DEADLINE
) -> bytes:
    """A small file whole. Raises Refused, NotThere and Unreachable, also where it is longer."""
    with reading(url, allowed=allowed, deadline=deadline) as body:
        data = bytearray()
        for block in body.blocks():
            data += block
            if len(data) > most:
                raise Unreachable(f"sends more than {most} bytes")
        return bytes(data)


def size_of(url: str, *, allowed: Iterable[Network] = (), deadline: float = DEADLINE) -> int | None:
    """The bytes of a file, None where the server does not tell. Raises as `read` does."""
    with exchange("HEAD", url, headers=HEADERS, allowed=allowed, deadline=deadline) as answer:
        _refuse_other(answer, {HTTPStatus.OK})
        return _length(answer)


@contextlib.contextmanager
def reading(
    url: str,
    start: int = 0,
    *,
    allowed: Iterable[Network] = (),
    deadline: float = DEADLINE,
) -> Iterator[Body]:
    """A file from a byte on; a server without ranges begins at 0, and `start` says so.

    Raises Refused, NotThere and Unreachable.
    """
    headers = HEADERS | ({"Range": f"bytes={start}-"} if start else {})
    with exchange("GET", url, headers=headers, allowed=allowed, deadline=deadline) as answer:
        _refuse_other(answer, {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
        if answer.status == HTTPStatus.OK:
            yield Body(0, _length(answer), answer)
            return
        told = _CONTENT_RANGE.fullmatch(answer.header("Content-Range"))
        if told is None or int(told[1]) != start:
            raise Unreachable("sends another range than it was asked for")
        yield Body(start, int(told[2]), answer)


def _refuse_other(answer: Exchange, wanted: set[HTTPStatus]) -> None:
    if answer.status in _GONE:
        raise NotThere(f"answers {answer.status}")
    if 300 <= answer.status < 400:  # noqa: PLR2004 - as HTTP defines redirects
        raise Unreachable(f"answers {answer.status}; redirects are not followed")
    if answer.status not in wanted:
        raise Unreachable(f"answers {answer.status}")
    if answer.header("Content-Encoding") not in {"", "identity"}:
        raise Unreachable("packs what it sends, so that digests can't match")


def _length(answer: Exchange) -> int | None:
    told = answer.header("Content-Length")
    return int(told) if told.isdecimal() else None
