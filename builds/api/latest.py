"""The latest release of a channel on a system, in one record."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Router

from builds.api.problems import problems
from builds.api.shapes import LatestShape, latest_shape
from builds.boot.addresses import base_url
from builds.models import Channel, Head

router = Router(tags=["releases"])


@router.get(
    "{channel}/{system}/",
    response={200: LatestShape, **problems(404)},
    summary="The latest release of a channel on a system",
)
def latest(request: HttpRequest, response: HttpResponse, channel: str, system: str) -> LatestShape:
    """Everything that a client needs, in one record that never mixes releases."""
    head = Head.objects.with_files().of(channel, system)
    if head is None:
        raise Http404(_why_not(channel, system))
    response["Cache-Control"] = "no-cache"
    return latest_shape(head.release, base_url(request))


def _why_not(channel: str, system: str) -> str:
    row = Channel.objects.filter(name=channel).first()
    if row is None:
        known = ", ".join(Channel.objects.values_list("name", flat=True)) or "none yet"
        return f"There is no channel {channel}. Channels: {known}."
    systems = row.systems()
    if system not in systems:
        return f"{channel} is not built for {system}. Systems: {', '.join(systems)}."
    return f"{channel} has no published release for {system} yet."
