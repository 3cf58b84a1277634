"""Builds: every attempt at a variant of a release, as the pages show them, too."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import timezone
from ninja import Field, Query, Router
from ninja.params.functions import Path

from builds.api.build_shapes import BuildDetailShape, BuildPage, build_detail_shape, build_shape
from builds.api.caching import hashed
from builds.api.cursors import Order, Paged, linked, next_url
from builds.api.moments import Moment
from builds.api.problems import problems
from builds.api.release_shapes import release_url
from builds.api.releases import refuse_unknown
from builds.boot.addresses import base_url
from builds.choices import BuildStatus, System, Variant
from builds.models import Build

router = Router(tags=["builds"])
ORDER = Order("builds", "queued_at")


class BuildsWanted(Paged):
    """Which builds."""

    channel: str | None = Field(None, examples=["demo"])
    system: System | None = None
    status: BuildStatus | None = None
    version: str | None = Field(None, max_length=110, examples=["26.05.20260820.b18a4b9"])
    variant: Variant | None = None
    since: Moment | None = Field(None, description="queued at this time or later")
    until: Moment | None = Field(None, description="queued before this time")


@router.get(
    "",
    response={200: BuildPage, **problems(404, 422)},
    summary="Builds, the newest first",
    url_name="builds",
)
def builds(request: HttpRequest, wanted: Query[BuildsWanted]) -> HttpResponseBase:
    """What waits, what runs, and what has ended, good or bad."""
    wanted.refuse_others(request)
    rows = Build.objects.with_release().wanted(
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
    page = BuildPage(builds=[build_shape(each, base) for each in found], next=after)
    return linked(hashed(request, page, at=timezone.now()), after)


@router.get(
    "{build_id}/",
    response={200: BuildDetailShape, **problems(404, 422)},
    summary="All that is known of one build",
    url_name="build",
)
def build(
    request: HttpRequest, build_id: int = Path(ge=1, description="its number")
) -> HttpResponseBase:
    """How far it is, what it gave, or why it failed."""
    row = Build.objects.with_release().filter(pk=build_id).first()
    if row is None:
        raise Http404(f"There is no build {build_id}.")
    base = base_url(request)
    shape = build_detail_shape(row, release_url(row.release, base), base)
    changed_at = row.finished_at if row.is_final else None
    return hashed(request, shape, at=timezone.now(), changed_at=changed_at)
