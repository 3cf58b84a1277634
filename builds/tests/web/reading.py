"""Reading pages as people do: their text, without tags, with single spaces."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

_SILENT = frozenset({"script", "style", "noscript", "title"})


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._silent += tag in _SILENT

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def text_of(response: Any) -> str:
    """The text of a page's answer. White space is folded, but for doubled spaces in commands."""
    parser = _Text()
    parser.feed(response.content.decode())
    return re.sub(r"\s*\n\s*", " ", "".join(parser.parts))
