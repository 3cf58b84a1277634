"""Where a release was made, in words."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.translation import gettext

from builds.choices import Origin
from builds.models import Build, Release


def origin_in_words(release: Release) -> str:
    """Built here; built by hydra.nixos.org, build 123; adopted from a folder, not built here."""
    where = place_of(release.source)
    if release.origin == Origin.BUILT:
        return gettext("built here")
    if release.origin == Origin.HYDRA:
        return _built_by(where, release)
    if release.origin == Origin.UPLOADED:
        words = gettext("uploaded from {where}, not built here")
        return words.format(where=where) if where else gettext("uploaded, not built here")
    words = gettext("adopted from {where}, not built here")
    return words.format(where=where) if where else gettext("adopted, not built here")


def is_address(source: str) -> bool:
    """Whether a source can be a link: nothing but the web, and no script."""
    return urlsplit(source).scheme in {"http", "https"} and bool(urlsplit(source).hostname)


def place_of(source: str) -> str:
    """The host of an address, else the source as it is."""
    return str(urlsplit(source).hostname) if is_address(source) else source


def _built_by(where: str, release: Release) -> str:
    numbers = sorted({_number(build) for build in release.builds.all() if build.source})
    if not numbers:
        return gettext("built by {where}, not here").format(where=where)
    words = gettext("built by {where}, build {numbers}, not here")
    return words.format(where=where, numbers=", ".join(map(str, numbers)))


def _number(build: Build) -> int:
    told = build.source.rpartition("/")[2]
    return int(told) if told.isdecimal() else 0
