"""The latest release of a channel on a system, in one record; now, or at any time since."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from django.db.models import prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import timezone
from ninja import Router
from ninja.params.functions import Query

from builds.api.caching import hashed, told
from builds.api.moments import Moment, in_whole_seconds
from builds.api.problems import invalid, problems
from builds.api.shapes import LatestShape, LatestThenShape, latest_shape, latest_then_shape
from builds.boot.addresses import base_url
from builds.models import Channel, Head, HeadMove
from builds.models.head import STATE

router = Router(tags=["releases"])
At = Annotated[
    Moment | None,
    Query(
        description="what was the latest then, instead of now: a day (its first moment, UTC) or "
        "a time as RFC 3339 writes it",
        examples=["2026-11-22T04:00:00Z"],
    ),
]
SHOWN = ("artifacts__build", "checks")


@router.get(
    "{channel}/{system}/",
    response={200: LatestShape | LatestThenShape, **problems(404, 422)},
    summary="The latest release of a channel on a system",
    url_name="latest",
)
def latest(
    request: HttpRequest,
    channel: str,
    system: str,
    at: At = None,
) -> HttpResponseBase:
    """Everything that a client needs, in one record that never mixes releases.

    With `at` the record has `then`, too: how the release stands now. One that was taken back or
    whose time is over has no commands, and its files answer 410.
    """
    now = timezone.now()
    if at is not None:
        return _then(request, channel, system, at, now)
    head = Head.objects.with_state().of(channel, system)
    if head is None:
        raise Http404(_why_not(channel, system))
    state = {name: getattr(head, name) for name in STATE}
    changed_at = max(head.moved_at, state["last_check_at"] or head.moved_at)

    def make() -> LatestShape:
        prefetch_related_objects([head.release], *SHOWN)
        return latest_shape(head.release, base_url(request))

    told_of = (base_url(request), head.release_id, head.moved_at, state)
    return told(request, make, state=told_of, at=now, changed_at=changed_at)


def _then(
    request: HttpRequest, channel: str, system: str, at: datetime, now: datetime
) -> HttpResponseBase:
    if at > now:
        raise invalid("at", "this time is still to come; leave it out for the latest of now.")
    move = HeadMove.objects.standing(channel, system, at)
    if move is None or move.release is None:
        raise Http404(_why_not_then(channel, system, at))
    release, until = move.release, HeadMove.objects.next_after(move)
    prefetch_related_objects([release], *SHOWN)
    shape = latest_then_shape(release, move, until, base_url(request), at=at)
    return hashed(request, shape, at=now)


def _why_not(channel: str, system: str) -> str:
    row = Channel.objects.filter(name=channel).first()
    if row is None:
        return no_channel(channel)
    systems = row.systems()
    if system not in systems:
        return f"{channel} is not built for {system}. Systems: {', '.join(systems)}."
    return f"{channel} has no published release for {system} yet."


def _why_not_then(channel: str, system: str, at: datetime) -> str:
    moves = HeadMove.objects.of(channel, system).exclude(release=None)
    first = moves.order_by("at").first()
    if first is None:
        return _why_not(channel, system)
    return (
        f"{channel} had no published release for {system} at {in_whole_seconds(at)}. "
        f"It had the first one at {in_whole_seconds(first.at)}."
    )


def no_channel(name: str) -> str:
    """That there is none of this name, and which there are."""
    known = ", ".join(Channel.objects.values_list("name", flat=True)) or "none yet"
    return f"There is no channel {name}. Channels: {known}."
