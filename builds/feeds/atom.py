"""Releases as an Atom feed, of one channel or of all: what was published, what withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.http import HttpRequest, HttpResponseBase
from django.utils.feedgenerator import Atom1Feed, Enclosure

from builds.boot.addresses import base_url, immutable_url
from builds.feeds.answers import answer, for_programs, no_channel
from builds.models import Channel, Release
from builds.storage import content_type

MOST = 50
AUTHOR = "NixOS images portal"


@for_programs
def feed(request: HttpRequest, channel: str = "") -> HttpResponseBase:
    """The last 50 releases that were published, the newest first."""
    row = Channel.objects.filter(name=channel).first()
    if channel and row is None:
        return no_channel(channel)
    releases = _releases(row)
    changed_at = max((_changed_at(release) for release in releases), default=None)
    data = written(releases, row, base_url(request), request.path)
    return answer(request, data, Atom1Feed.content_type, modified_at=changed_at)


def written(releases: Iterable[Release], channel: Channel | None, base: str, path: str) -> bytes:
    """The feed of some releases; `path` is its own address below `base`."""
    atom = Atom1Feed(
        title=f"NixOS images: {channel}" if channel else "NixOS images",
        link=f"{base}{channel.get_absolute_url() if channel else '/'}",
        feed_url=f"{base}{path}",
        description="",
        subtitle="Releases that were built, checked and published.",
        author_name=AUTHOR,
        language="en",
    )
    for release in releases:
        _add(atom, release, base)
    return atom.writeString("utf-8").encode()


def _releases(channel: Channel | None) -> list[Release]:
    known = Release.objects.known_to_outside().select_related("channel")
    if channel:
        known = known.filter(channel=channel)
    return list(known.order_by("-published_at", "-pk").prefetch_related("artifacts")[:MOST])


def _changed_at(release: Release) -> datetime:
    """When it was published, withdrawn or expired, whichever came last."""
    times = (release.published_at, release.finished_at, release.expired_at)
    return max(at for at in times if at is not None)


def _add(atom: Atom1Feed, release: Release, base: str) -> None:
    url = f"{base}{release.get_absolute_url()}"
    name = f"{release.channel.name} {release.version} for {release.system}"
    atom.add_item(
        title=name if release.is_published else f"{name}, {release.status}",
        link=url,
        unique_id=url,
        description=_summary(release),
        pubdate=release.published_at,
        updateddate=_changed_at(release),
        categories=[release.channel.name, release.system],
        enclosures=_enclosures(release, base),
    )


def _enclosures(release: Release, base: str) -> list[Enclosure]:
    """Its files, while they are there."""
    files = release.artifacts.all() if release.is_published else ()
    return [
        Enclosure(immutable_url(base, each), str(each.size), content_type(each.name))
        for each in files
    ]


def _summary(release: Release) -> str:
    if release.is_published:
        return f"Release {release.sequence} of {release.channel.name} for {release.system}."
    if release.is_expired:
        return "Its time is over; newer releases took its place."
    return f"It was withdrawn: {release.reason}"
