"""Addresses that boot a machine without a page: the menu, a channel, a script to be piped to sh."""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from builds.boot import standing
from builds.boot.addresses import base_url
from builds.boot.answers import text
from builds.boot.kexec_script import kexec_script
from builds.boot.menu import menu as menu_script
from builds.boot.picked import picked
from builds.models import Head, Release
from builds.pipeline import documents


@csrf_exempt
@require_safe
def menu(request: HttpRequest) -> HttpResponse:
    """The iPXE menu of everything."""
    return text(menu_script(standing.latest(), at=timezone.now()))


@csrf_exempt
@require_safe
def channel_script(request: HttpRequest, channel: str) -> HttpResponse:
    """The iPXE script that boots the latest release of a channel on any system that it has."""
    found = standing.latest(channel)
    if not found:
        return text("There is no published netboot of this channel.", 404)
    return text(picked(channel, found))


@csrf_exempt
@require_safe
def version_script(request: HttpRequest, channel: str, version: str) -> HttpResponse:
    """The same of one version, for good."""
    found = standing.of_version(channel, version)
    if not found:
        return text("There is no published netboot of this version.", 404)
    if not any(each.release.is_published for each in found):
        return text("\n".join(each.why for each in found), 410)
    return text(picked(f"{channel} {version}", found))


@csrf_exempt
@require_safe
def kexec_of_channel(request: HttpRequest, channel: str) -> HttpResponse:
    """The shell script that boots a running Linux into the latest release of a channel."""
    heads = Head.objects.with_files().filter(channel__name=channel).order_by("system")
    releases = [head.release for head in heads]
    return _kexec(request, releases, channel, documents.signed_of_heads(channel, releases))


@csrf_exempt
@require_safe
def kexec_of_version(request: HttpRequest, channel: str, version: str) -> HttpResponse:
    """The same of one version, for good."""
    found = Release.objects.named(channel, version).known_to_outside().with_files()
    releases = list(found.order_by("system"))
    if releases and not any(release.is_published for release in releases):
        became = "\n".join(f"{each} {standing.what_became(each)}" for each in releases)
        return _comment(became, 410)
    return _kexec(request, releases, channel)


def _kexec(
    request: HttpRequest,
    releases: list[Release],
    channel: str,
    timestamps: dict[str, bytes] | None = None,
) -> HttpResponse:
    base = base_url(request)
    url = f"{base}{quote(request.path)}"
    script = kexec_script(releases, channel, base, url, at=timezone.now(), timestamps=timestamps)
    if script is None:
        return _comment("There is no published image for kexec of this name.", 404)
    return text(script.encode())


def _comment(words: str, status: int) -> HttpResponse:
    """A refusal that a shell runs through without harm, for those who leave out curl's -f."""
    return text("\n".join(f"# {line}" for line in words.splitlines()), status)
