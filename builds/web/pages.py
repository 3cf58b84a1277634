"""The pages of channels and releases, and of the portal as a whole, that anybody may read."""

from __future__ import annotations

from django.db.models import Prefetch, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from builds import logs
from builds.boot.addresses import base_url
from builds.choices import System
from builds.models import Artifact, Channel, Head, Release
from builds.pipeline import Line, regression
from builds.web.acts import may_trigger
from builds.web.choice import Wish, choose
from builds.web.dashboard import gather, latest_url, next_build, waits_for
from builds.web.history import channel_history
from builds.web.plain import also_as_text
from builds.web.release_page import release_page
from builds.web.stats import stats_page
from builds.web.status import status_page
from builds.web.verify import verify_page
from builds.web.waiting import making


@require_safe
@also_as_text("plain/dashboard.txt")
def dashboard(request: HttpRequest) -> HttpResponse:
    """Every channel on every system, and the command that most people come for."""
    at = timezone.now()
    matrix = gather(at=at)
    base = base_url(request)
    wish = Wish.of(request)
    context = {
        "matrix": matrix,
        "choice": choose(matrix, wish, base),
        "may_trigger": may_trigger(request.user),
        "base": base,
        "at": at,
    }
    response = TemplateResponse(request, "web/dashboard.html", context)
    wish.remember(response)
    patch_vary_headers(response, ["Cookie"])
    return response


@require_safe
@also_as_text("plain/channel.txt")
def channel_detail(request: HttpRequest, channel: str) -> HttpResponse:
    """A channel and the history of its releases."""
    at = timezone.now()
    row = get_object_or_404(Channel, name=channel)
    asked = request.GET
    histories = channel_history(row, asked.get("system", ""), asked.get("page"), at)
    context = {
        "channel": row,
        "next_at": next_build(row, at=at),
        "has_ended": row.has_ended(at.date()),
        "waits_for": waits_for(row, at=at),
        "histories": histories,
        "has_strip": any(not history.strip.is_blank for history in histories),
        "base": base_url(request),
        "at": at,
    }
    return TemplateResponse(request, "web/channel_detail.html", context)


@require_safe
@also_as_text("plain/release.txt")
def latest_detail(request: HttpRequest, channel: str, system: str) -> HttpResponse:
    """The latest release of a channel on a system; where there is none, when there will be."""
    if system not in System.values:
        raise Http404(f"There is no system {system}.")
    head = Head.objects.of(channel, system)
    if head is None:
        return _no_release_yet(request, get_object_or_404(Channel, name=channel), system)
    files = Prefetch("artifacts", Artifact.objects.with_downloads())
    prefetch_related_objects([head.release], files, "builds", "checks")
    return _release(request, head.release, successor=None)


@require_safe
@also_as_text("plain/release.txt")
def release_detail(request: HttpRequest, channel: str, version: str, system: str) -> HttpResponse:
    """One release."""
    releases = Release.objects.named(channel, version).with_contents()
    release = get_object_or_404(releases, system=system)
    return _release(request, release, successor=release.successor())


@require_safe
@also_as_text("plain/release.txt")
def draft_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A release that has no version yet, or that ended before it got one."""
    release = get_object_or_404(Release.objects.with_contents(), pk=pk)
    if release.version:
        return redirect(release)
    return _release(request, release, successor=release.successor())


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Queues, workers, parts, disks, storage, and how fresh each channel is."""
    at = timezone.now()
    return render(request, "web/status.html", {"page": status_page(at=at), "at": at})


@require_safe
def stats(request: HttpRequest) -> HttpResponse:
    """Sizes, times and downloads over the weeks."""
    at = timezone.now()
    wish = {name: request.GET.get(name, "") for name in ("channel", "system", "variant", "weeks")}
    return render(request, "web/stats.html", {"page": stats_page(wish, at=at), "at": at})


@require_safe
def verify(request: HttpRequest) -> HttpResponse:
    """How to check a download, with the real values."""
    wish = {name: request.GET.get(name, "") for name in ("channel", "system")}
    context = {"page": verify_page(wish, base_url(request)), "base": base_url(request)}
    return render(request, "web/verify.html", context)


def _release(request: HttpRequest, release: Release, *, successor: Release | None) -> HttpResponse:
    at = timezone.now()
    context = {
        "page": release_page(release, request, successor=successor, at=at),
        "base": base_url(request),
        "excerpt": logs.plain(release.excerpt),
        "red": regression(release),
        "at": at,
    }
    return TemplateResponse(request, "web/release_detail.html", context)


def _no_release_yet(request: HttpRequest, channel: Channel, system: str) -> HttpResponse:
    at = timezone.now()
    draft = Release.objects.of(channel, system).drafts().with_progress().first()
    context = {
        "channel": channel,
        "system": system,
        "is_built": channel.targets.filter(system=system).exists(),
        "waits_for": waits_for(channel, at=at),
        "making": making(draft, Line(at), at=at) if draft else None,
        "url": latest_url(channel.name, system),
    }
    return TemplateResponse(request, "web/latest_missing.html", context, status=404)
