"""What a front server hands out by itself from a folder: links to the files that are published.

nginx knows no digests, but it knows where links lead. So each file `<folder>/<name>` has here

    <folder>/<name>            a link to
    <folder>/.<name>/<digest>  a folder, in which
    file.<subtype>             is a link to the file itself,

and nginx reads the digest from the real path of the second, and the media type from the third,
for it knows types by endings only. What has no link here goes to the
portal, which knows why.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from builds.storage.keys import content_type


def link_name(key: str) -> str:
    """What the link to a file is called: file.gzip for application/gzip."""
    return f"file.{content_type(key.rpartition('/')[2]).partition(';')[0].partition('/')[2]}"


class FrontTree:
    """The links, for the files below `files`."""

    def __init__(self, root: Path, files: Path) -> None:
        self._root = root
        self._files = files

    def show(self, folder: str, wanted: Mapping[str, str]) -> None:
        """Have just these links below a folder: digests by key."""
        there = self._links(folder)
        for key in there.keys() - wanted.keys():
            self._hide(key)
        for key, sha256 in wanted.items():
            if there.get(key) != sha256:
                self._lead(key, sha256)

    def shows(self, folder: str, wanted: Mapping[str, str]) -> bool:
        """Whether it has just these."""
        return self._links(folder) == wanted

    def _links(self, folder: str) -> dict[str, str]:
        found = {}
        for path in (self._root / folder).glob("*/[!.]*"):
            with suppress(OSError):  # hidden meanwhile
                found[path.relative_to(self._root).as_posix()] = path.readlink().name
        return found

    def _lead(self, key: str, sha256: str) -> None:
        link, inner = self._places(key)
        folder = inner / sha256
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            (folder / link_name(key)).symlink_to(os.path.relpath(self._files / key, folder))
        new = inner / secrets.token_hex(8)
        new.symlink_to(Path(inner.name, sha256))
        new.replace(link)

    def _hide(self, key: str) -> None:
        link, inner = self._places(key)
        link.unlink(missing_ok=True)
        shutil.rmtree(inner, ignore_errors=True)
        with suppress(OSError):  # others are in it
            link.parent.rmdir()

    def _places(self, key: str) -> tuple[Path, Path]:
        link = self._root / key
        return link, link.with_name(f".{link.name}")
