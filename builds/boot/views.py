"""Composed boots: the script and the small initrd that an address spells out. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from builds.boot.answers import text
from builds.boot.handover import handover
from builds.boot.options import BadOptions, BootOptions
from builds.boot.script import composed_script
from builds.models import Head, Release


@csrf_exempt
@require_safe
def script_of_latest(request: HttpRequest, channel: str, system: str, segment: str) -> HttpResponse:
    """The iPXE script of the latest release, with the options of the segment."""

    def answer(options: BootOptions) -> HttpResponse:
        head = Head.objects.with_files().of(channel, system)
        return _script(head.release if head else None, f"{channel} for {system}", options)

    return _with_options(segment, answer)


@csrf_exempt
@require_safe
def script_of_release(
    request: HttpRequest, channel: str, version: str, system: str, segment: str
) -> HttpResponse:
    """The same of one release, for good."""

    def answer(options: BootOptions) -> HttpResponse:
        release = Release.objects.named(channel, version).filter(system=system).published().first()
        return _script(release, f"{channel} {version} for {system}", options)

    return _with_options(segment, answer)


@csrf_exempt
@require_safe
def handed_over(request: HttpRequest, segment: str, **where: str) -> HttpResponse:
    """The small initrd; it is the same for every release."""

    def answer(options: BootOptions) -> HttpResponse:
        return HttpResponse(handover(options), content_type="application/octet-stream")

    return _with_options(segment, answer)


def _script(release: Release | None, what: str, options: BootOptions) -> HttpResponse:
    script = composed_script(release, options) if release else None
    if script is None:
        return text(f"There is no published netboot of {what}.", 404)
    return text(script)


def _with_options(segment: str, answer: Callable[[BootOptions], HttpResponse]) -> HttpResponse:
    """What the options get; what is wrong with them, a line each, where they can't be used."""
    try:
        response = answer(BootOptions.from_segment(segment))
    except BadOptions as wrong:
        response = text(str(wrong), 400)
    response["Cache-Control"] = "no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    return response
