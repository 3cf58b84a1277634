"""Moving from one storage to another: every file is copied, read back and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from builds.models import Release
from builds.pipeline import naming
from builds.pipeline.abroad.pack import Hashed
from builds.pipeline.mirrored import Refused
from builds.pipeline.scrub import Expected, expected
from builds.storage import INCOMING, ROOT, AlreadyStored, ArtifactStorage, StoredFile, is_kept
from builds.storage.base import digest_of

_MOVING_PARTS = 4  # releases/download/<channel>/<name>
BAD = frozenset({"differs", "damaged"})


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one file: copied, there (it was before), differs, damaged or waits."""

    word: str
    key: str
    size: int
    why: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether a person has to look at it."""
        return self.word in BAD

    def __str__(self) -> str:
        return f"{self.word} {self.key}, {self.size} bytes{f': {self.why}' if self.why else ''}"


def relocate(
    source: ArtifactStorage,
    target: ArtifactStorage,
    *,
    dry_run: bool = False,
    told: Callable[[str, int, int], object] = lambda *_: None,
) -> Iterator[Moved]:
    """Copy what the source has and the target lacks; the files that move come last.

    What is in the target already is hashed, and stays; other bytes under a key that is written
    once are never replaced. While anything is bad the files that move wait, so that none of them
    names what is not there. It may break off anywhere and be done again. Raises OSError.
    """
    promised = _promised()
    bad = False
    for file in _in_order(source):
        is_moving = _rank(file.key) == _LAST
        if is_moving and bad:
            yield Moved("waits", file.key, file.size, "what it names is not all there")
        elif dry_run:
            yield Moved("there" if target.exists(file.key) else "would copy", file.key, file.size)
        else:
            move = _replace if is_moving else _copy_once
            moved = move(source, target, _expected(file, promised), told)
            bad |= moved.is_bad
            yield moved


_FIRST, _MANIFEST, _LAST = range(3)


def _in_order(source: ArtifactStorage) -> list[StoredFile]:
    files = [*source.walk(""), *source.walk(INCOMING)]
    once = {file.key: file for file in files if is_kept(file.key)}
    return sorted(once.values(), key=lambda file: (_rank(file.key), file.key))


def _rank(key: str) -> int:
    """Without its manifest nobody takes a folder for a release; what moves names all of them."""
    if key.startswith(f"{ROOT}/") and len(key.split("/")) == _MOVING_PARTS:
        return _LAST
    return _MANIFEST if naming.is_manifest(key.rpartition("/")[2]) else _FIRST


def _promised() -> dict[str, str]:
    """The digests that the rows know, by key."""
    releases = Release.objects.holding_files().select_related("channel")
    held = releases.prefetch_related("artifacts").known_to_outside()
    return {release.key(file.name): file.sha256 for release in held for file in expected(release)}


def _expected(file: StoredFile, promised: dict[str, str]) -> Expected:
    return Expected(file.key, promised.get(file.key, ""), file.size)


def _copy_once(
    source: ArtifactStorage,
    target: ArtifactStorage,
    file: Expected,
    told: Callable[[str, int, int], object],
) -> Moved:
    key, size = file.name, file.size or 0
    if target.exists(key):
        return _compare(source, target, file)
    with _reading(source, file) as reading:
        try:
            wanted = Hashed(reading, file, _Progress(key, size, told)) if file.sha256 else reading
            stored = target.put_from(key, cast("BinaryIO", wanted), size)
        except Refused as refusal:
            return Moved("damaged", key, size, str(refusal))
        except AlreadyStored:
            return Moved("differs", key, size, "others have written there meanwhile")
    if _digest(target, key, size) != stored.sha256:
        return Moved("differs", key, size, "it reads back as other bytes")
    return Moved("copied", key, size)


def _compare(source: ArtifactStorage, target: ArtifactStorage, file: Expected) -> Moved:
    key, size = file.name, file.size or 0
    wanted = file.sha256 or _digest(source, key, size)
    # One byte more than there should be is seen as well.
    if _digest(target, key, size + 1) == wanted:
        return Moved("there", key, size)
    return Moved("differs", key, size, "the target has other bytes there; they stay")


def _replace(
    source: ArtifactStorage,
    target: ArtifactStorage,
    file: Expected,
    told: Callable[[str, int, int], object],
) -> Moved:
    key, size = file.name, file.size or 0
    data = source.read(key)
    if data is None or target.read(key) == data:
        return Moved("there", key, size)
    target.replace(key, data)
    return Moved("copied", key, size)


def _reading(source: ArtifactStorage, file: Expected) -> BinaryIO:
    return source.open_range(file.name, 0, file.size or 0)


def _digest(storage: ArtifactStorage, key: str, length: int) -> str:
    with storage.open_range(key, 0, length) as reading:
        return digest_of(reading)


class _Progress:
    """Tells of the bytes of one file as they go by."""

    def __init__(self, key: str, size: int, told: Callable[[str, int, int], object]) -> None:
        self._key, self._size, self._told, self._done = key, size, told, 0

    def __call__(self, size: int) -> None:
        self._done += size
        self._told(self._key, self._done, self._size)
