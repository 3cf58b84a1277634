"""What a front server hands out by itself from a folder: links to the files that are published.

nginx knows no digests, but it knows where links lead. So each file `<folder>/<name>` has here

    <folder>/<name>            a link to
    <folder>/.<name>/<digest>  a folder, in which
    file.<subtype>             is a link to the file itself,

and nginx reads the digest from the real path of the second, and the media type from the third,
for it knows types by endings only. What has no link here goes to the portal, which knows why. The
digest is there twice, as the headers ETag and Repr-Digest have it:
`<hex>:<base64>`, with `_` for the slashes that a name can't have.

Files that move have the same below `moving/`, but a copy of their own bytes in place of the third,
called `file`: those under their key may be replaced while a reader is told the digest.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from builds.storage.keys import content_type

Fill = Callable[[str, Path], None]


def link_name(key: str) -> str:
    """What the link to a file is called: file.gzip for application/gzip."""
    return f"file.{content_type(key.rpartition('/')[2]).partition(';')[0].partition('/')[2]}"


class FrontTree:
    """The links, for the files below `files`."""

    def __init__(self, root: Path, files: Path) -> None:
        self._files = files
        self._fixed = Links(root, "*/[!.]*")
        self._moving = Links(root / "moving", "[!.]*")

    def show(self, folder: str, wanted: Mapping[str, str]) -> None:
        """Have just these links to files that never change, below a folder: digests by key."""

        def link(key: str, inner: Path) -> None:
            with suppress(FileExistsError):
                (inner / link_name(key)).symlink_to(os.path.relpath(self._files / key, inner))

        self._fixed.have(folder, wanted, link)

    def shows(self, folder: str, wanted: Mapping[str, str]) -> bool:
        """Whether it has just these."""
        return self._fixed.of(folder) == wanted

    def show_moving(self, folder: str, wanted: Mapping[str, bytes]) -> None:
        """Have just these files that move, directly in a folder: bytes by key."""

        def copy(key: str, inner: Path) -> None:
            _write(inner / "file", wanted[key])

        self._moving.have(folder, _digests(wanted), copy)

    def shows_moving(self, folder: str, wanted: Mapping[str, bytes]) -> bool:
        """Whether it has just these."""
        return self._moving.of(folder) == _digests(wanted)

    def hide_moving(self, folder: str) -> None:
        """Let the portal answer for what moves in a folder."""
        self._moving.have(folder, {}, lambda _key, _inner: None)


class Links:
    """The first two of each file, for all that a pattern finds below a folder."""

    def __init__(self, root: Path, pattern: str) -> None:
        self._root, self._pattern = root, pattern

    def of(self, folder: str) -> dict[str, str]:
        """The digests by key; where a link has another form than today's, what it leads to."""
        found = {}
        for path in (self._root / folder).glob(self._pattern):
            with suppress(OSError):  # hidden meanwhile
                name = path.readlink().name
                sha256 = name.partition(":")[0]
                key = path.relative_to(self._root).as_posix()
                found[key] = sha256 if name == _both(sha256) else name
        return found

    def have(self, folder: str, wanted: Mapping[str, str], fill: Fill) -> None:
        """Have just these, and in the folder of each what `fill` makes there."""
        there = self.of(folder)
        for key in there.keys() - wanted.keys():
            self._hide(key)
        for key, sha256 in wanted.items():
            if there.get(key) != sha256:
                with suppress(FileNotFoundError):  # another has hidden it meanwhile
                    self._lead(key, sha256, fill)

    def _lead(self, key: str, sha256: str, fill: Fill) -> None:
        link, inside = self._places(key)
        inner = inside / _both(sha256)
        inner.mkdir(parents=True, exist_ok=True)
        fill(key, inner)
        new = inside / secrets.token_hex(8)
        new.symlink_to(Path(inside.name, inner.name))
        new.replace(link)

    def _hide(self, key: str) -> None:
        link, inside = self._places(key)
        link.unlink(missing_ok=True)
        shutil.rmtree(inside, ignore_errors=True)
        with suppress(OSError):  # others are in it
            link.parent.rmdir()

    def _places(self, key: str) -> tuple[Path, Path]:
        link = self._root / key
        return link, link.with_name(f".{link.name}")


def _digests(texts: Mapping[str, bytes]) -> dict[str, str]:
    return {key: hashlib.sha256(data).hexdigest() for key, data in texts.items()}


def _both(sha256: str) -> str:
    """A digest as ETag and as Repr-Digest has it."""
    with suppress(ValueError):
        return f"{sha256}:{base64.b64encode(bytes.fromhex(sha256)).decode().replace('/', '_')}"
    return ""


def _write(path: Path, data: bytes) -> None:
    """On the disk before anything leads there: a digest that was told is kept."""
    if path.exists() and path.read_bytes() == data:
        return
    part = path.with_name(f".{secrets.token_hex(8)}")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.chmod(0o644)
    part.replace(path)
