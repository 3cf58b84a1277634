"""What may leave the storage: files that no row names, and what broke off while being stored."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby

from builds.models import Artifact, Check, Release
from builds.pipeline import naming
from builds.storage import ROOT, StoredFile, artifacts

logger = logging.getLogger(__name__)

# A file is stored before its row is written; a day is longer than any build stores.
ORPHAN_AGE = timedelta(days=1)


def orphans(
    *, at: datetime, older_than: timedelta = ORPHAN_AGE, folder: str = ROOT
) -> Iterator[str]:
    """The keys of stored files that nothing names; young ones may still get their row.

    A folder with a manifest of which the database knows nothing is left alone as a whole: that
    is a release that `manage.py restore` would bring back.
    """
    for place, files in groupby(artifacts().walk(folder), key=_folder):
        old = [file for file in files if file.modified_at <= at - older_than]
        yield from _orphans_in(place, {file.key.rpartition("/")[2]: file.key for file in old})


def is_orphan(key: str) -> bool:
    """Whether nothing names this key now; asked again right before it is deleted."""
    folder, _, name = key.rpartition("/")
    return any(_orphans_in(folder, {name: key}))


def lost_releases() -> bool:
    """Whether the database knows no release at all, but the storage holds some to restore."""
    return not Release.objects.exists() and _holds_manifest(ROOT)


def names_in(releases: Iterable[Release]) -> set[str]:
    """The names of all files that these releases have: artifacts, pictures, papers, signatures."""
    rows = list(releases)
    named = set(Artifact.objects.filter(release__in=rows).values_list("name", flat=True))
    for check in Check.objects.filter(release__in=rows).only("picture", "comparison"):
        named |= {check.picture, *check.kept_files}
    for release in rows:
        named |= naming.paper_names(release.system) | release.papers.keys()
    return named - {""}


def _orphans_in(folder: str, keys: dict[str, str]) -> Iterator[str]:
    """Of some files of one folder, by their names, those that nothing names."""
    if not keys:
        return
    channel, _, version = folder.removeprefix(f"{ROOT}/").partition("/")
    if not version:
        moving = naming.moving_names()
        yield from (key for name, key in keys.items() if name not in moving)
        return
    releases = list(Release.objects.named(channel, version))
    if any(release.is_draft for release in releases):
        return
    if not releases and _holds_manifest(folder):
        logger.warning("%s holds a release that the database does not know: restore it", folder)
        return
    named = names_in(release for release in releases if release.files_removed_at is None)
    for name, key in keys.items():
        if name not in named and not any(_is_log(name, release) for release in releases):
            yield key


def _is_log(name: str, release: Release) -> bool:
    """Whether a file is the packed log of a build; those stay as long as the record."""
    return re.fullmatch(rf"build-[a-z-]+-{release.system}\.\d+\.log\.gz", name) is not None


def _holds_manifest(folder: str) -> bool:
    return any(naming.is_manifest(file.key.rpartition("/")[2]) for file in artifacts().walk(folder))


def _folder(file: StoredFile) -> str:
    return file.key.rpartition("/")[0]
