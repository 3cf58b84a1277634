"""Badges for a README: version and age of the latest, red where something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.template.loader import render_to_string
from django.utils import timezone

from builds.choices import ReleaseStatus
from builds.feeds.answers import answer, for_programs, json_answer, missing, no_channel
from builds.models import Channel, Damage, Head, Release, Reproduction

SVG = "image/svg+xml"
# What shields.io calls it, and the same with enough contrast to white.
GOOD, BAD, QUIET = "brightgreen", "red", "lightgrey"
_FILLS = {GOOD: "#2e7d32", BAD: "#c62828", QUIET: "#666"}
_MARGIN = 7
# Widths in Verdana at 11 px; what the reader's font makes of them is fitted by textLength.
_NARROW, _WIDE = "fijlrt.,:;-·()|' ", "mwMW%"
_NARROW_WIDTH, _USUAL_WIDTH, _WIDE_WIDTH = 4.4, 7.0, 10.2
_CACHE_SECONDS = 300


class Says(Protocol):
    """What makes a badge of the latest release of a channel on a system."""

    def __call__(self, channel: Channel, system: str, *, at: datetime) -> Badge:
        """What is to be said at a time."""


@dataclass(frozen=True, slots=True)
class Badge:
    """What a badge says; `colour` is one of shields.io's names."""

    label: str
    message: str
    colour: str


def badge_of(channel: Channel, system: str, *, at: datetime) -> Badge:
    """What is to be said of the latest release of a channel on a system."""
    label = f"{channel.name} {system}"
    head = Head.objects.of(channel.name, system)
    last = Release.objects.of(channel, system).tried().order_by("-finished_at", "-pk").first()
    has_failed = last is not None and last.status == ReleaseStatus.FAILED
    if head is None:
        return Badge(label, "failed", BAD) if has_failed else Badge(label, "no release yet", QUIET)
    release = head.release
    said = f"{release.version} · {_age(release.published_at or at, at)}"
    if Damage.objects.unmended().filter(release=release).exists():
        return Badge(label, f"{said} · damaged", BAD)
    if channel.has_ended(at.date()):
        return Badge(label, f"{said} · end of life", QUIET)
    if has_failed:
        return Badge(label, f"{said} · last build failed", BAD)
    if channel.is_active and _is_stale(channel, system, at):
        return Badge(label, f"{said} · stale", BAD)
    return Badge(label, said, GOOD)


def reproduction_of(channel: Channel, system: str, *, at: datetime) -> Badge:
    """Whether the latest release came out the same when it was built again, at any time."""
    label = f"{channel.name} {system}"
    head = Head.objects.of(channel.name, system)
    if head is None:
        return Badge(label, "no release yet", QUIET)
    found = Reproduction.of(head.release)
    colours = {Reproduction.REPRODUCED: GOOD, Reproduction.DIFFERS: BAD}
    return Badge(label, found.value, colours.get(found, QUIET))


@for_programs
def picture(
    request: HttpRequest, channel: str, system: str, of: Says = badge_of
) -> HttpResponseBase:
    """A badge as SVG."""
    found = _find(channel, system, of)
    if not isinstance(found, Badge):
        return found
    return answer(request, drawn(found).encode(), SVG)


@for_programs
def endpoint(
    request: HttpRequest, channel: str, system: str, of: Says = badge_of
) -> HttpResponseBase:
    """The same for shields.io's endpoint badge."""
    found = _find(channel, system, of)
    if not isinstance(found, Badge):
        return found
    record: dict[str, Any] = {
        "schemaVersion": 1,
        "label": found.label,
        "message": found.message,
        "color": found.colour,
        "isError": found.colour == BAD,
        "cacheSeconds": _CACHE_SECONDS,
    }
    return json_answer(request, record)


def drawn(badge: Badge) -> str:
    """A badge as an SVG that needs no font, style or script of anybody's."""
    label, message = _width(badge.label), _width(badge.message)
    left = label + 2 * _MARGIN
    right = message + 2 * _MARGIN
    context = {
        "badge": badge,
        "fill": _FILLS[badge.colour],
        "width": left + right,
        "left": left,
        "bend": right - 3,
        "margin": _MARGIN,
        "label_width": label,
        "message_at": left + _MARGIN,
        "message_width": message,
    }
    return render_to_string("feeds/badge.svg", context)


def _find(name: str, system: str, of: Says) -> Badge | HttpResponseBase:
    channel = Channel.objects.filter(name=name).first()
    if channel is None:
        return no_channel(name)
    systems = channel.systems()
    if system not in systems:
        known = ", ".join(systems) or "none"
        return missing(f"{name} is not built for {system}. Systems: {known}.")
    return of(channel, system, at=timezone.now())


def _is_stale(channel: Channel, system: str, at: datetime) -> bool:
    news_at = Release.objects.last_good_news(channel, system) or channel.created_at
    return at - news_at > timedelta(days=settings.STALE_AFTER_DAYS)


def _age(since: datetime, at: datetime) -> str:
    days = (at - since).days
    return f"{days} day{'' if days == 1 else 's'}" if days > 0 else "today"


def _width(text: str) -> int:
    """The pixels of a text, about."""
    widths = (
        _NARROW_WIDTH if sign in _NARROW else _WIDE_WIDTH if sign in _WIDE else _USUAL_WIDTH
        for sign in text
    )
    return round(sum(widths))
