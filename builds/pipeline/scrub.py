"""Scrubbing: hash every stored file again, and raise an alarm for each that has changed."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from builds.models import Damage, Release
from builds.pipeline import documents, naming
from builds.pipeline.shown import show
from builds.pipeline.signatures import known_keys, what_is_wrong
from builds.signing import KeySet
from builds.storage import artifacts
from builds.storage.base import blocks

logger = logging.getLogger(__name__)

MIB = 1024 * 1024
LARGEST_PAPER = 64 * MIB


@dataclass(frozen=True, slots=True)
class Expected:
    """A file as it was stored; papers have no size of their own on record.

    `wrong`: what is known to be wrong with it even where it has its bytes.
    """

    name: str
    sha256: str
    size: int | None = None
    wrong: str = ""


@dataclass(slots=True)
class Scrubbed:
    """What a run has seen: releases, files, bytes; what was wrong, and what could not be read."""

    releases: int = 0
    files: int = 0
    size: int = 0
    damaged: list[Damage] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every file was read and right."""
        return not self.damaged and not self.unread


class Pace:
    """Holds reading to a rate of bytes a second; None reads as fast as it goes."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._began = time.monotonic()
        self._read = 0

    def read(self, size: int) -> None:
        """Say that so many bytes were read; waits where that was too fast."""
        self._read += size
        if self._rate:
            ahead = self._read / self._rate - (time.monotonic() - self._began)
            if ahead > 0:
                time.sleep(ahead)


def scrub(
    releases: Iterable[Release],
    *,
    at: datetime,
    pace: Pace,
    told: Callable[[Scrubbed, Release], None] = lambda _scrubbed, _release: None,
    enough: Callable[[], bool] = lambda: False,
) -> Scrubbed:
    """Hash the files of these releases one by one, until `enough` says so between two of them.

    The alarm for a file is raised at once, not at the end of the run. Signatures are verified
    where the release keys are known.
    """
    scrubbed = Scrubbed()
    keys = known_keys()
    for release in releases:
        if enough():
            break
        told(scrubbed, release)
        is_read = _scrub_release(release, keys, scrubbed, pace, at)
        scrubbed.releases += 1
        if is_read:
            release.note_scrubbed(at=at)
    return scrubbed


def expected(release: Release) -> Iterator[Expected]:
    """Every file that a release should have in the storage."""
    for artifact in release.artifacts.all():
        yield Expected(artifact.name, artifact.sha256, artifact.size)
    for name, sha256 in sorted(release.papers.items()):
        yield Expected(name, sha256)


def difference(key: str, file: Expected, read: Callable[[int], None]) -> str:
    """What is wrong with a stored file, in a sentence; "" where it has its bytes.

    `read` is told of each block. Raises OSError where the storage can't be read.
    """
    # One byte more than there should be: what was appended is seen as well.
    length = (file.size or LARGEST_PAPER) + 1
    digest = hashlib.sha256()
    size = 0
    try:
        with artifacts().open_range(key, 0, length) as source:
            for block in blocks(source):
                digest.update(block)
                size += len(block)
                read(len(block))
    except FileNotFoundError:
        return "It is missing."
    if digest.hexdigest() == file.sha256:
        return ""
    if file.size is not None and size != file.size:
        more = "more than its" if size > file.size else f"{size} instead of"
        return f"It has {more} {file.size} bytes."
    return f"Its SHA-256 is {digest.hexdigest()} instead of {file.sha256}."


def scrub_some(*, at: datetime, rate: float, seconds: float, again_after: timedelta) -> Scrubbed:
    """Hash for a while what was not hashed lately, so that a worker is soon free again."""
    ends = time.monotonic() + seconds
    releases = Release.objects.to_scrub(at - again_after)
    return scrub(releases, at=at, pace=Pace(rate), enough=lambda: time.monotonic() > ends)


def _scrub_release(
    release: Release, keys: KeySet | None, scrubbed: Scrubbed, pace: Pace, at: datetime
) -> bool:
    """Hash every file and verify what is signed; false where something could not be read."""
    try:
        worthless = _worthless(release, keys)
    except OSError as error:
        scrubbed.unread.append(f"signatures of {release}: {error}")
        worthless = {}
    files = [replace(file, wrong=worthless.get(file.name, "")) for file in expected(release)]
    is_read = [_scrub_file(release, file, scrubbed, pace, at) for file in files]
    return all(is_read)


def _scrub_file(
    release: Release, file: Expected, scrubbed: Scrubbed, pace: Pace, at: datetime
) -> bool:
    """Hash one file and note what it is like; false where it could not be read."""
    key = release.key(file.name)

    def read(size: int) -> None:
        scrubbed.size += size
        pace.read(size)

    try:
        what = difference(key, file, read) or file.wrong
    except OSError as error:
        logger.error("scrub: %s could not be read: %s", key, error)  # noqa: TRY400 - not ours
        scrubbed.unread.append(f"{key}: {error}")
        return False
    scrubbed.files += 1
    if what:
        _alarm(release, file.name, what, scrubbed, at)
    elif Damage.objects.note_right(release, file.name, at=at):
        show(release.channel.name)
        logger.warning("scrub: %s has its own bytes again", key)
    return True


def _worthless(release: Release, keys: KeySet | None) -> dict[str, str]:
    """Signatures of a release that prove nothing, by name, and why: their key may be revoked."""
    if keys is None or not release.signed_by:
        return {}
    found: dict[str, str] = {}
    envelopes = [name for name in release.papers if naming.is_envelope(name)]
    for name in [*naming.unsigned_names(release.system), *envelopes]:
        signatures = [name] if name in envelopes else naming.signature_names(name)
        names = [name, *signatures]
        is_as_signed = all(_digest(release, each) == release.papers.get(each) for each in names)
        # What has other bytes is found by itself.
        if is_as_signed and (wrong := what_is_wrong(release, name, keys)):
            what = f"It proves nothing: {wrong}. manage.py keys sign-again mends that."
            found |= dict.fromkeys(signatures, what)
    return found


def _digest(release: Release, name: str) -> str:
    return documents.digest(artifacts().read(release.key(name)) or b"")


def _alarm(release: Release, name: str, what: str, scrubbed: Scrubbed, at: datetime) -> None:
    """Take the file out of what is given out, and say so wherever somebody looks."""
    if not Release.objects.published().filter(pk=release.pk).exists():
        return  # expired or withdrawn while it was read
    damage, _ = Damage.objects.note(release, name, what, at=at)
    show(release.channel.name)
    scrubbed.damaged.append(damage)
    logger.error("scrub: ALARM: %s: %s It is not given out any more.", release.key(name), what)
