"""The API's operations, and how errors look."""

from __future__ import annotations

import json

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import ValidationError

from builds.api import acts, logs
from builds.api.authorization import rate_headers
from builds.api.refusals import Refused
from builds.api.shapes import LatestShape, ProblemShape, latest_shape
from builds.boot.addresses import base_url
from builds.models import Channel, Head

api = NinjaAPI(
    title="NixOS images portal",
    version="1",
    description="What is the latest image of a channel, and where its files are.",
    urls_namespace="api",
    docs_url="docs",
    openapi_url="openapi.json",
)
api.add_router("builds/", logs.router)
api.add_router("", acts.router)


@api.get(
    "latest/{channel}/{system}/",
    response={200: LatestShape, 404: ProblemShape},
    summary="The latest release of a channel on a system",
)
def latest(request: HttpRequest, response: HttpResponse, channel: str, system: str) -> LatestShape:
    """Everything that a client needs, in one record that never mixes releases."""
    head = Head.objects.with_files().of(channel, system)
    if head is None:
        raise Http404(_why_not(channel, system))
    response["Cache-Control"] = "no-cache"
    response["Access-Control-Allow-Origin"] = "*"
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


@api.exception_handler(Http404)
def not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    """What is not there, as a problem document."""
    return _problem("Not found", 404, str(error))


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """What can't be understood, as a problem document."""
    return _problem("Invalid request", 422, json.dumps(error.errors))


@api.exception_handler(Refused)
def refused(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """What a program may not do, or not now, as a problem document."""
    said = {"type": refusal.type, "title": refusal.title, "status": refusal.status}
    body = json.dumps({**said, "detail": refusal.detail, **refusal.members})
    response = HttpResponse(body, content_type="application/problem+json", status=refusal.status)
    for name, value in {**rate_headers(request), **refusal.headers}.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response


def _problem(title: str, status: int, detail: str) -> HttpResponse:
    body = ProblemShape(title=title, status=status, detail=detail)
    response = HttpResponse(
        body.model_dump_json(), content_type="application/problem+json", status=status
    )
    response["Access-Control-Allow-Origin"] = "*"
    return response
