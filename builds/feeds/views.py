"""Releases as an Atom feed, of one channel or of all: what was published, what withdrawn."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.feedgenerator import Atom1Feed
from django.utils.http import http_date
from django.views.decorators.http import condition, require_safe

from builds.boot.addresses import base_url
from builds.models import Channel, Release
from builds.models.release_queries import ReleaseQuerySet

MOST = 50
FRESH_FOR = 300  # seconds
AUTHOR = "NixOS images portal"


def _releases(channel: str) -> ReleaseQuerySet:
    known = Release.objects.known_to_outside().select_related("channel")
    if channel:
        known = known.filter(channel=get_object_or_404(Channel, name=channel))
    return known.order_by("-published_at", "-pk")


def _last_change(request: HttpRequest, channel: str = "") -> datetime | None:
    times = _releases(channel)[:MOST].values_list("published_at", "finished_at", "expired_at")
    return max((time for row in times for time in row if time is not None), default=None)


@require_safe
@condition(last_modified_func=_last_change)
def feed(request: HttpRequest, channel: str = "") -> HttpResponse:
    """The last 50 releases that were published, the newest first."""
    base = base_url(request)
    atom = Atom1Feed(
        title=f"NixOS images: {channel}" if channel else "NixOS images",
        link=f"{base}{reverse('channel-detail', args=[channel]) if channel else '/'}",
        feed_url=f"{base}{request.path}",
        description="",
        subtitle="Releases that were built, checked and published.",
        author_name=AUTHOR,
        language="en",
    )
    for release in _releases(channel)[:MOST]:
        _add(atom, release, base)
    response = HttpResponse(content_type=atom.content_type)
    atom.write(response, "utf-8")
    patch_cache_control(response, public=True, max_age=FRESH_FOR)
    response.setdefault("Date", http_date())
    return response


def _add(atom: Atom1Feed, release: Release, base: str) -> None:
    url = f"{base}{release.get_absolute_url()}"
    name = f"{release.channel.name} {release.version} for {release.system}"
    atom.add_item(
        title=name if release.is_published else f"{name}, {release.status}",
        link=url,
        unique_id=url,
        description=_summary(release),
        pubdate=release.published_at,
        updateddate=release.expired_at or release.finished_at or release.published_at,
        categories=[release.channel.name, release.system],
    )


def _summary(release: Release) -> str:
    if release.is_published:
        return f"Release {release.sequence} of {release.channel.name} for {release.system}."
    if release.is_expired:
        return "Its time is over; newer releases took its place."
    return f"It was withdrawn: {release.reason}"
