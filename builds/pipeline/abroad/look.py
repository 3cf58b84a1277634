"""Looks at mirrors: is the latest there, are papers and sizes right, and a file's bytes a day."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from builds.choices import MirrorState
from builds.models import Head, LeaseLost, Mirror, Release
from builds.outward import Unreachable
from builds.pipeline.abroad.compare import Ours, differences, hash_again, hash_one, look_at_head
from builds.pipeline.abroad.site import Site
from builds.pipeline.heartbeat import Heartbeat

logger = logging.getLogger(__name__)

OLDER_AT_ONCE = 5  # releases, each time those that were looked at longest ago
ENOUGH = 180.0  # seconds after which older releases are left to the next check


@dataclass(slots=True)
class Seen:
    """What a check has found so far; each a sentence."""

    wrong: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    fresh: int = 0
    seconds: float | None = None

    @property
    def state(self) -> MirrorState:
        """All of it in one word."""
        if self.wrong:
            return MirrorState.WRONG
        if self.silent:
            return MirrorState.SILENT
        return MirrorState.FRESH if self.fresh and not self.behind else MirrorState.BEHIND

    @property
    def note(self) -> str:
        """All of it in sentences."""
        return "\n".join([*self.wrong, *self.silent, *self.behind])


def check_mirrors(*, worker: str, at: datetime) -> None:
    """Look at each mirror whose time has come; one that somebody looks at is left to them."""
    for mirror in Mirror.objects.due(at):
        try:
            check_mirror(mirror, worker=worker, at=at)
        except LeaseLost as error:
            logger.info("%s", error)


def check_mirror(mirror: Mirror, *, worker: str, at: datetime) -> bool:
    """Look at one mirror, and note what it is like; false where somebody is at it.

    Raises LeaseLost where somebody took it over meanwhile.
    """
    if not mirror.hold(worker):
        return False
    try:
        with Heartbeat(mirror):
            seen = _look(mirror, at)
        mirror.note_checked(seen.state, seen.note, at=at, seconds=seen.seconds)
        logger.info("mirror %s: %s", mirror, mirror.get_state_display())
        return True
    finally:
        mirror.let_go()


def _look(mirror: Mirror, at: datetime) -> Seen:
    seen = Seen()
    site = Site(mirror.url, settings.MIRROR_NETWORKS, settings.MIRROR_PATIENCE_SECONDS)
    ours = Ours(mirror, site, at)
    started = time.monotonic()
    for head in Head.objects.with_files().order_by("channel__position", "channel__name", "system"):
        asked = time.monotonic()
        _look_at_head(ours, head, seen)
        if seen.silent:  # who does not answer is not asked for the rest
            return seen
        seen.seconds = seen.seconds or round(time.monotonic() - asked, 3)
    for release in Release.objects.to_look_at(mirror, OLDER_AT_ONCE):
        if seen.silent or time.monotonic() - started > ENOUGH:
            return seen
        _look_at_copy(ours, release, seen)
    _hash_one(ours, seen)
    return seen


def _look_at_head(ours: Ours, head: Head, seen: Seen) -> None:
    row = look_at_head(ours, head)
    where = f"{row.channel.name} on {row.system}"
    if row.is_silent:
        seen.silent.append(f"{where}: {row.note}")
    elif row.is_wrong:
        seen.wrong.append(f"{where}: {row.note}")
    elif row.behind:
        seen.behind.append(f"{where}: {row.note}")
    seen.fresh += row.behind == 0


def _look_at_copy(ours: Ours, release: Release, seen: Seen) -> None:
    """Look at a release as the mirror has it; a file that was wrong is hashed whole again."""
    before = ours.mirror.copies.filter(release=release).first()
    try:
        found = differences(ours, release)
        if found is None:
            ours.mirror.copies.filter(release=release).delete()
            return
        wrong, file = found.wrong, before.file if before else ""
        if not wrong and file:
            wrong = hash_again(ours, release, file)
    except Unreachable as error:
        seen.silent.append(f"{release}: {error}")
        return
    ours.note(release, wrong, file=file if wrong else "")
    if wrong:
        seen.wrong.append(f"{release}: {wrong}")
    elif found.behind:
        seen.behind.append(f"{release}: {found.behind}")


def _hash_one(ours: Ours, seen: Seen) -> None:
    """Hash the file whose turn it is."""
    artifact = ours.mirror.next_to_hash(settings.MIRROR_DIGEST_BYTES, at=ours.at)
    if artifact is None:
        return
    try:
        wrong = hash_one(ours, artifact)
    except Unreachable as error:
        seen.silent.append(f"{artifact.release}: {error}")
        return
    ours.mirror.note_hashed(artifact, at=ours.at)
    if wrong:
        ours.note(artifact.release, wrong, file=artifact.name)
        seen.wrong.append(f"{artifact.release}: {wrong}")
