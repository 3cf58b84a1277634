"""Ranges and preconditions of RFC 9110, for one file with a strong ETag."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.http import parse_etags

_RANGE = re.compile(r"bytes\s*=\s*(?P<first>\d*)\s*-\s*(?P<last>\d*)\s*", re.IGNORECASE | re.ASCII)
# Longer numbers than any file's size; Python refuses to read numbers of thousands of digits.
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file: `start` and `length` in bytes."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The Content-Range header of this part of a file of `size` bytes."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


class NotSatisfiable(Exception):
    """The range lies outside the file: answer 416 with the size."""


def is_unchanged(if_none_match: str, etag: str) -> bool:
    """Whether the reader has these bytes already: answer 304."""
    wanted = parse_etags(if_none_match) if if_none_match else []
    return "*" in wanted or any(_opaque(tag) == etag for tag in wanted)


def requested_span(range_header: str, if_range: str, etag: str, size: int) -> Span | None:
    """The part that a request asks for; None for the whole file.

    What is not one range of bytes is left unheeded, as the RFC allows; so is a range of a file
    that has changed since (If-Range). Raises NotSatisfiable.
    """
    match = _RANGE.fullmatch(range_header.strip())
    if match is None or (if_range and if_range.strip() != etag):
        return None
    first, last = match["first"], match["last"]
    if not first and not last:
        return None
    if first and last and _number(last) < _number(first):
        return None
    if first:
        start, end = _number(first), min(_number(last) if last else size - 1, size - 1)
    else:
        start, end = max(size - _number(last), 0), size - 1
    if start >= size or (not first and not _number(last)):
        raise NotSatisfiable
    return Span(start=start, length=end - start + 1)


def _number(digits: str) -> int:
    stripped = digits.lstrip("0") or "0"
    return int(stripped) if len(stripped) <= _DIGITS else 10**_DIGITS


def _opaque(tag: str) -> str:
    """A tag without the mark of weakness: for If-None-Match that does not count."""
    return tag.removeprefix("W/")
