"""What a front server hands out by itself from a folder: links to the files that are published.

nginx knows no digests, but it knows where links lead. So each file `<folder>/<name>` has here

    <folder>/<name>            a link to
    <folder>/.<name>/<digest>  a folder, in which
    file.<subtype>             is a link to the file itself,

and nginx reads the digest from the real path of the second, and the media type from the third,
for it knows types by endings only. What has no link here goes to the
portal, which knows why. The digest is there twice, as the headers ETag and Repr-Digest have it:
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
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from builds.storage.keys import content_type

_MOVING = "moving"
_FILE = "file"


def link_name(key: str) -> str:
    """What the link to a file is called: file.gzip for application/gzip."""
    return f"file.{content_type(key.rpartition('/')[2]).partition(';')[0].partition('/')[2]}"


class FrontTree:
    """The links, for the files below `files`."""

    def __init__(self, root: Path, files: Path) -> None:
        self._root = root
        self._files = files

    def show(self, folder: str, wanted: Mapping[str, str]) -> None:
        """Have just these links to files that never change, below a folder: digests by key."""
        there = _links(self._root, folder, "*/[!.]*")
        self._hide(self._root, there.keys() - wanted.keys())
        for key, sha256 in wanted.items():
            if there.get(key) != sha256:
                inner = self._begin(self._root, key, sha256)
                target = os.path.relpath(self._files / key, inner)
                with suppress(FileExistsError):
                    (inner / link_name(key)).symlink_to(target)
                self._lead(self._root, key, inner)

    def shows(self, folder: str, wanted: Mapping[str, str]) -> bool:
        """Whether it has just these."""
        return _links(self._root, folder, "*/[!.]*") == wanted

    def show_moving(self, folder: str, wanted: Mapping[str, bytes]) -> None:
        """Have just these files that move, directly in a folder: bytes by key."""
        root = self._root / _MOVING
        there = _links(root, folder, "[!.]*")
        self._hide(root, there.keys() - wanted.keys())
        for key, data in wanted.items():
            sha256 = hashlib.sha256(data).hexdigest()
            if there.get(key) != sha256:
                with suppress(FileNotFoundError):  # another has hidden it meanwhile
                    inner = self._begin(root, key, sha256)
                    _write(inner / _FILE, data)
                    self._lead(root, key, inner)

    def shows_moving(self, folder: str, wanted: Mapping[str, bytes]) -> bool:
        """Whether it has just these."""
        digests = {key: hashlib.sha256(data).hexdigest() for key, data in wanted.items()}
        return _links(self._root / _MOVING, folder, "[!.]*") == digests

    def hide_moving(self, folder: str) -> None:
        """Let the portal answer for what moves in a folder."""
        root = self._root / _MOVING
        self._hide(root, _links(root, folder, "[!.]*"))

    def _begin(self, root: Path, key: str, sha256: str) -> Path:
        inner = root / key
        inner = inner.with_name(f".{inner.name}") / _both(sha256)
        inner.mkdir(parents=True, exist_ok=True)
        return inner

    def _lead(self, root: Path, key: str, inner: Path) -> None:
        new = inner.with_name(secrets.token_hex(8))
        new.symlink_to(Path(inner.parent.name, inner.name))
        new.replace(root / key)

    def _hide(self, root: Path, keys: Iterable[str]) -> None:
        for key in list(keys):
            link = root / key
            link.unlink(missing_ok=True)
            shutil.rmtree(link.with_name(f".{link.name}"), ignore_errors=True)
            with suppress(OSError):  # others are in it
                link.parent.rmdir()


def _links(root: Path, folder: str, pattern: str) -> dict[str, str]:
    """The digests by key; of another form than today's what stands in its place."""
    found = {}
    for path in (root / folder).glob(pattern):
        with suppress(OSError):  # hidden meanwhile
            name = path.readlink().name
            sha256 = name.partition(":")[0]
            found[path.relative_to(root).as_posix()] = sha256 if name == _both(sha256) else name
    return found


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
