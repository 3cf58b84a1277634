"""Releases: what was made, is being made and could not be made, as the pages show it, too."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import timezone
from ninja import Field, Query, Router

from builds.api.caching import hashed
from builds.api.cursors import Order, Paged, linked, next_url
from builds.api.latest import no_channel
from builds.api.moments import Moment
from builds.api.problems import problems
from builds.api.release_shapes import (
    ReleaseDetailShape,
    ReleasePage,
    changed_at,
    release_detail_shape,
    release_shape,
)
from builds.boot.addresses import base_url
from builds.choices import ReleaseStatus, System, Variant
from builds.models import Channel, Damage, HeadMove, Release

router = Router(tags=["releases"])
ORDER = Order("releases", "created_at")


class ReleasesWanted(Paged):
    """Which releases."""

    channel: str | None = Field(None, examples=["demo"])
    system: System | None = None
    status: ReleaseStatus | None = None
    version: str | None = Field(None, max_length=110, examples=["26.05.20260820.b18a4b9"])
    variant: Variant | None = Field(None, description="those that were to have this variant")
    since: Moment | None = Field(None, description="begun at this time or later")
    until: Moment | None = Field(None, description="begun before this time")


@router.get(
    "",
    response={200: ReleasePage, **problems(404, 422)},
    summary="Releases, the newest first",
    url_name="releases",
)
def releases(request: HttpRequest, wanted: Query[ReleasesWanted]) -> HttpResponseBase:
    """Those in the making and those that failed, too, as the pages of channels show them."""
    wanted.refuse_others(request)
    rows = Release.objects.for_lists().wanted(
        channel=wanted.channel,
        system=wanted.system,
        status=wanted.status,
        version=wanted.version,
        variant=wanted.variant,
        since=wanted.since,
        until=wanted.until,
    )
    found, cursor = ORDER.page(rows, wanted.cursor, wanted.limit)
    if not found:
        refuse_unknown(wanted.channel)
    base, after = base_url(request), next_url(request, cursor)
    page = ReleasePage(releases=[release_shape(each, base) for each in found], next=after)
    return linked(hashed(request, page, at=timezone.now()), after)


@router.get(
    "{channel}/{version}/{system}/",
    response={200: ReleaseDetailShape, **problems(404)},
    summary="All that is known of one release",
    url_name="release",
)
def release(request: HttpRequest, channel: str, version: str, system: str) -> HttpResponseBase:
    """Whatever became of it; where its files can't be read, why, and what to take instead."""
    rows = Release.objects.named(channel, version).for_lists().with_files()
    row = rows.filter(system=system).first()
    if row is None:
        refuse_unknown(channel)
        raise Http404(f"{channel} has no release {version} for {system}.")
    damages = tuple(Damage.objects.filter(release=row))
    move = HeadMove.objects.of(channel, system).select_related("release__channel").first()
    latest = move.release if move else None
    shape = release_detail_shape(
        row,
        latest if latest and latest.pk != row.pk else None,
        [damage for damage in damages if damage.mended_at is None],
        base_url(request),
    )
    moved_at = move.at if move else row.created_at
    at = timezone.now()
    return hashed(request, shape, at=at, changed_at=changed_at(row, damages, moved_at))


def refuse_unknown(channel: str | None) -> None:
    """404 where a channel was named that there is not: a slip must not look like an empty list."""
    if channel is not None and not Channel.objects.filter(name=channel).exists():
        raise Http404(no_channel(channel))
