"""The pages that anybody may read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from builds import logs
from builds.boot.addresses import base_url
from builds.choices import BuildStatus, System
from builds.models import Build, Channel, Head, Release
from builds.pipeline import Line, refusal_to_retry, regression
from builds.web import states
from builds.web.acts import may_trigger, may_withdraw
from builds.web.build_page import (
    log_view,
    progress_in_words,
    stage_steps,
    timing_in_words,
    what_happened,
)
from builds.web.choice import Wish, choose
from builds.web.dashboard import gather, latest_url, next_build, waits_for
from builds.web.failure import is_tried_again
from builds.web.history import channel_history
from builds.web.release_page import release_page
from builds.web.stats import stats_page
from builds.web.status import status_page
from builds.web.waiting import making, what_it_waits_for

BUILDS_A_PAGE = 50


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Every channel on every system, and the command that most people come for."""
    at = timezone.now()
    matrix = gather(at=at)
    asked = request.GET
    wish = Wish(asked.get("channel", ""), asked.get("system", ""), asked.get("method", ""))
    context = {
        "matrix": matrix,
        "choice": choose(matrix, wish, base_url(request)),
        "may_trigger": may_trigger(request.user),
        "at": at,
    }
    return render(request, "web/dashboard.html", context)


@require_safe
def channel_detail(request: HttpRequest, channel: str) -> HttpResponse:
    """A channel and the history of its releases."""
    at = timezone.now()
    row = get_object_or_404(Channel, name=channel)
    context = {
        "channel": row,
        "next_at": next_build(row, at=at),
        "has_ended": row.has_ended(at.date()),
        "waits_for": waits_for(row, at=at),
        "histories": channel_history(row, request.GET.get("system", ""), request.GET.get("page")),
        "may_trigger": may_trigger(request.user),
        "at": at,
    }
    return render(request, "web/channel_detail.html", context)


@require_safe
def latest_detail(request: HttpRequest, channel: str, system: str) -> HttpResponse:
    """The latest release of a channel on a system; where there is none, when there will be."""
    row = get_object_or_404(Channel, name=channel)
    if system not in System.values:
        raise Http404(f"There is no system {system}.")
    head = Head.objects.of(channel, system)
    if head is None:
        return _no_release_yet(request, row, system)
    return _release(request, Release.objects.with_files().get(pk=head.release_id))


@require_safe
def release_detail(request: HttpRequest, channel: str, version: str, system: str) -> HttpResponse:
    """One release."""
    releases = Release.objects.named(channel, version).with_files()
    return _release(request, get_object_or_404(releases, system=system))


@require_safe
def draft_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A release that has no version yet, or that ended before it got one."""
    release = get_object_or_404(Release.objects.with_files(), pk=pk)
    if release.version:
        return redirect(release)
    return _release(request, release)


@require_safe
def build_list(request: HttpRequest) -> HttpResponse:
    """What runs, what waits, and what has ended."""
    asked = {name: request.GET.get(name, "") for name in ("status", "channel", "system")}
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
        "at": at,
    }
    return render(request, "web/build_list.html", context)


@require_safe
def build_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One build with the end of its log, or with the part of it that the URL names."""
    at = timezone.now()
    build = get_object_or_404(Build.objects.with_release(), pk=pk)
    attempts = Build.objects.filter(release=build.release, variant=build.variant)
    context: dict[str, Any] = {
        "build": build,
        "state": states.build_state(build),
        "stages": stage_steps(build),
        "sentence": what_happened(build, at=at),
        "is_tried_again": is_tried_again(build),
        "red": regression(build.release),
        "may_cancel": may_withdraw(request.user) and _may_be_cancelled(build),
        "may_retry": may_trigger(request.user) and not refusal_to_retry(build),
        "excerpt": logs.plain(build.excerpt),
        "progress": progress_in_words(build),
        "timing": timing_in_words(build, Build.objects.like(build).usual_duration(), at=at),
        "log": log_view(build, request.GET.get("from", ""), request.GET.get("log", "")),
        "attempts": _with_states(attempts.order_by("attempt")),
        "at": at,
    }
    return render(request, "web/build_detail.html", context)


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Queues, workers, parts, disks, and how fresh each channel is."""
    at = timezone.now()
    return render(request, "web/status.html", {"page": status_page(at=at), "at": at})


@require_safe
def stats(request: HttpRequest) -> HttpResponse:
    """Sizes, times and downloads over the weeks."""
    at = timezone.now()
    wish = {name: request.GET.get(name, "") for name in ("channel", "system", "variant", "weeks")}
    return render(request, "web/stats.html", {"page": stats_page(wish, at=at), "at": at})


@require_safe
def build_log(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The whole log of a build as plain text."""
    build = get_object_or_404(Build, pk=pk)
    response = StreamingHttpResponse(logs.text(build.pk), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _release(request: HttpRequest, release: Release) -> HttpResponse:
    at = timezone.now()
    context = {
        "page": release_page(release, request, at=at),
        "base": base_url(request),
        "excerpt": logs.plain(release.excerpt),
        "red": regression(release),
        "may_withdraw": may_withdraw(request.user),
        "may_retry": may_trigger(request.user) and not refusal_to_retry(release),
        "at": at,
    }
    return render(request, "web/release_detail.html", context)


def _no_release_yet(request: HttpRequest, channel: Channel, system: str) -> HttpResponse:
    at = timezone.now()
    draft = Release.objects.of(channel, system).drafts().with_progress().first()
    line = Line(at)
    context = {
        "channel": channel,
        "system": system,
        "is_built": channel.targets.filter(system=system).exists(),
        "waits_for": waits_for(channel, at=at),
        "making": making(draft, line, at=at) if draft else None,
        "url": latest_url(channel.name, system),
    }
    return render(request, "web/latest_missing.html", context, status=404)


def _filtered(builds: QuerySet[Build], asked: dict[str, str]) -> Any:
    """The builds that the URL asks for; what is not known is left unheeded."""
    if asked["status"] in BuildStatus.values:
        builds = builds.filter(status=asked["status"])
    if asked["system"] in System.values:
        builds = builds.filter(release__system=asked["system"])
    if asked["channel"]:
        builds = builds.filter(release__channel__name=asked["channel"])
    return builds


def _may_be_cancelled(build: Build) -> bool:
    return not build.is_final and build.cancel_requested_at is None


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
