"""Channels: what is followed, what is built of it and when, and what is the latest."""

from __future__ import annotations

from datetime import date, datetime

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from ninja import Field, Router, Schema

from builds.api.caching import hashed
from builds.api.latest import no_channel
from builds.api.moments import Time
from builds.api.problems import problems
from builds.api.shapes import PORTAL
from builds.boot.addresses import base_url
from builds.choices import System
from builds.models import Channel, Head
from builds.pipeline.canonical import public_ref

router = Router(tags=["channels"])


class ChannelSystemShape(Schema):
    """What a channel builds on one system; its latest release is null where there is none."""

    system: System
    variants: list[str] = Field(examples=[["netboot", "kexec-installer"]])
    latest_version: str | None = Field(examples=["26.05.20260820.b18a4b9"])
    latest_published_at: Time | None
    latest_url: str = Field(
        description="the record of the latest; 404 where there is none",
        examples=[f"{PORTAL}/api/v1/latest/demo/x86_64-linux/"],
    )


class ChannelShape(Schema):
    """A moving branch that is followed."""

    name: str = Field(examples=["demo"])
    title: str = Field(examples=["A small Linux that shows the whole way"])
    is_default: bool
    is_active: bool = Field(description="whether it is built when its slot comes")
    end_of_life: date | None = Field(
        description="from this day on the branch gets no more updates", examples=["2026-12-31"]
    )
    has_ended: bool
    next_build_at: Time | None = Field(description="null where it is built by hand only")
    flake: str = Field(examples=["github:example/images"])
    checks: list[str] = Field(
        description="those that gate a release", examples=[["boot-netboot-bios"]]
    )
    systems: list[ChannelSystemShape]
    url: str = Field(examples=[f"{PORTAL}/api/v1/channels/demo/"])
    page_url: str = Field(examples=[f"{PORTAL}/channels/demo/"])
    releases_url: str = Field(examples=[f"{PORTAL}/api/v1/releases/?channel=demo"])


class ChannelsShape(Schema):
    """Every channel, in the order of the pages."""

    channels: list[ChannelShape]


@router.get("", response=ChannelsShape, summary="Every channel", url_name="channels")
def channels(request: HttpRequest) -> HttpResponseBase:
    """All of them: they are few, so there are no pages."""
    at, base = timezone.now(), base_url(request)
    rows = Channel.objects.with_latest()
    shape = ChannelsShape(channels=[_shape(row, base, at) for row in rows])
    return hashed(request, shape, at=at)


@router.get(
    "{channel}/",
    response={200: ChannelShape, **problems(404)},
    summary="One channel",
    url_name="channel",
)
def channel(request: HttpRequest, channel: str) -> HttpResponseBase:
    """What is built of it, when the next time, and what is its latest on each system."""
    row = Channel.objects.with_latest().filter(name=channel).first()
    if row is None:
        raise Http404(no_channel(channel))
    at = timezone.now()
    return hashed(request, _shape(row, base_url(request), at), at=at)


def _shape(row: Channel, base: str, at: datetime) -> ChannelShape:
    heads = {head.system: head for head in row.heads.all()}
    variants: dict[str, list[str]] = {}
    for target in row.targets.all():
        variants.setdefault(target.system, []).append(target.variant)
    return ChannelShape(
        name=row.name,
        title=row.title,
        is_default=row.is_default,
        is_active=row.is_active,
        end_of_life=row.end_of_life,
        has_ended=row.has_ended(at.date()),
        next_build_at=row.next_slot(at) if row.is_active else None,
        flake=public_ref(row.flake),
        checks=row.checks,
        systems=[
            _system(row, system, variants[system], heads.get(system), base)
            for system in System
            if system in variants
        ],
        url=f"{base}{reverse('api:channel', args=[row.name])}",
        page_url=f"{base}{row.get_absolute_url()}",
        releases_url=f"{base}{reverse('api:releases')}?channel={row.name}",
    )


def _system(
    row: Channel, system: System, variants: list[str], head: Head | None, base: str
) -> ChannelSystemShape:
    return ChannelSystemShape(
        system=system,
        variants=variants,
        latest_version=head.release.version if head else None,
        latest_published_at=head.release.published_at if head else None,
        latest_url=f"{base}{reverse('api:latest', args=[row.name, system])}",
    )
