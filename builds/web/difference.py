"""What changed between a release and the one before it: versions, revision, files, sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext

from builds.models import Artifact, Build, Release
from builds.pipeline import compare_url
from builds.web.words import size

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is another now; `label` says which."""

    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """One artifact that came, went or has other bytes; sizes are 0 where it is not there."""

    name: str
    old_size: int
    new_size: int

    @property
    def words(self) -> str:
        """How: added, removed, 1.2 MiB larger."""
        if not self.old_size:
            return gettext("added")
        if not self.new_size:
            return gettext("removed")
        more = self.new_size - self.old_size
        if not more:
            return gettext("same size, other content")
        words = gettext("{size} larger") if more > 0 else gettext("{size} smaller")
        return words.format(size=size(abs(more)))


@dataclass(frozen=True, slots=True)
class Difference:
    """All that changed since `before`; `same` counts the files that are the same to the byte."""

    before: Release
    facts: tuple[Change, ...]
    files: tuple[FileChange, ...]
    same: int
    more_bytes: int
    old_revision: str
    new_revision: str
    compare_url: str

    @property
    def has_moved(self) -> bool:
        """Whether it was made of another revision."""
        return self.old_revision != self.new_revision

    @property
    def size_in_words(self) -> str:
        """How much larger or smaller all files together are."""
        if not self.more_bytes:
            return gettext("together as large as before")
        words = (
            gettext("together {size} larger")
            if self.more_bytes > 0
            else gettext("together {size} smaller")
        )
        return words.format(size=size(abs(self.more_bytes)))


def difference(release: Release, before: Release | None) -> Difference | None:
    """What changed; None where there is none before. Prefetch artifacts and builds of both."""
    if before is None:
        return None
    old = {artifact.name: artifact for artifact in before.artifacts.all()}
    new = {artifact.name: artifact for artifact in release.artifacts.all()}
    files = tuple(
        FileChange(name, _size(old.get(name)), _size(new.get(name)))
        for name in sorted(old | new)
        if _digest(old.get(name)) != _digest(new.get(name))
    )
    return Difference(
        before=before,
        facts=tuple(_facts(before, release)),
        files=files,
        same=len(old | new) - len(files),
        more_bytes=release.total_size() - before.total_size(),
        old_revision=before.revision,
        new_revision=release.revision,
        compare_url=compare_url(release, before.revision, release.revision),
    )


def said_by(builds: Iterable[Build], field: str) -> str:
    """What builds say in one field, each answer once."""
    return ", ".join(sorted({getattr(build, field) for build in builds} - {""}))


def _facts(before: Release, release: Release) -> Iterable[Change]:
    both = [
        (gettext("Image's own version"), before.image_version, release.image_version),
        *(
            (label, said_by(before.builds.all(), field), said_by(release.builds.all(), field))
            for label, field in (
                (gettext("Kernel"), "kernel_version"),
                (gettext("Built with"), "builder_version"),
            )
        ),
    ]
    return [Change(label, old or NOTHING, new or NOTHING) for label, old, new in both if old != new]


def _size(artifact: Artifact | None) -> int:
    return artifact.size if artifact else 0


def _digest(artifact: Artifact | None) -> str:
    return artifact.sha256 if artifact else ""
