"""The pages of builds: what runs, waits and has ended; one build; its log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from builds import logs
from builds.choices import BuildStatus, System, Variant
from builds.models import Build, Channel
from builds.pipeline import Line, regression
from builds.web import states
from builds.web.build_page import (
    log_view,
    progress_in_words,
    timing_in_words,
    way_steps,
    what_happened,
)
from builds.web.failure import is_tried_again
from builds.web.waiting import what_it_waits_for

BUILDS_A_PAGE = 50
FILTERS = ("status", "channel", "system", "variant")


@require_safe
def build_list(request: HttpRequest) -> HttpResponse:
    """What runs, what waits, and what has ended."""
    asked = {name: request.GET.get(name, "") for name in FILTERS}
    builds = _filtered(Build.objects.with_release(), asked)
    ended = Paginator(builds.ended(), BUILDS_A_PAGE)
    at = timezone.now()
    context = {
        "running": _with_states(builds.running()),
        "waiting": _waiting(builds.queued().in_turn(), at),
        "ended": _with_states(page := ended.get_page(request.GET.get("page"))),
        "page": page,
        "asked": asked,
        "is_filtered": any(asked.values()),
        "statuses": BuildStatus.choices,
        "channels": Channel.objects.all(),
        "systems": System.choices,
        "variants": Variant.choices,
        "at": at,
    }
    return render(request, "web/build_list.html", context)


@require_safe
def build_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One build with the end of its log, or with the part of it that the URL names."""
    at = timezone.now()
    build = get_object_or_404(Build.objects.with_release(), pk=pk)
    usual = None if build.is_final else Build.objects.like(build).usual_duration()
    attempts = Build.objects.filter(release=build.release, variant=build.variant)
    context: dict[str, Any] = {
        "build": build,
        "state": states.build_state(build),
        "steps": way_steps(build),
        "sentence": what_happened(build, at=at),
        "is_tried_again": is_tried_again(build),
        "red": regression(build.release),
        "excerpt": logs.plain(build.excerpt),
        "progress": progress_in_words(build),
        "timing": timing_in_words(build, usual, at=at),
        "log": log_view(build, request.GET.get("from", ""), request.GET.get("log", "")),
        "attempts": _with_states(attempts.order_by("attempt")),
        "at": at,
    }
    return render(request, "web/build_detail.html", context)


@require_safe
def build_log(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The whole log of a build as plain text."""
    build = get_object_or_404(Build, pk=pk)
    response = StreamingHttpResponse(logs.text(build.pk), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _filtered(builds: Any, asked: dict[str, str]) -> Any:
    """The builds that the URL asks for; what is not known is left unheeded."""
    if asked["status"] in BuildStatus.values:
        builds = builds.filter(status=asked["status"])
    if asked["variant"] in Variant.values:
        builds = builds.filter(variant=asked["variant"])
    system = asked["system"] if asked["system"] in System.values else None
    return builds.among(channel=asked["channel"] or None, system=system)


def _waiting(builds: QuerySet[Build], at: datetime) -> list[tuple[Build, states.State, str]]:
    line = Line(at)
    return [
        (build, states.build_state(build), what_it_waits_for(build, line, at=at))
        for build in builds
    ]


def _with_states(
    builds: QuerySet[Build] | Page[Build],
) -> list[tuple[Build, states.State, str]]:
    return [(build, states.build_state(build), "") for build in builds]
