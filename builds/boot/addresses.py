"""The absolute URLs that are handed out, never made from what a request merely claims."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from builds.models import Artifact, Release
from builds.storage import channel_key


def base_url(request: HttpRequest) -> str:
    """PORTAL_URL; where it is not set, the request's host, which Django lets pass only if it is
    one of ALLOWED_HOSTS.
    """
    if settings.PORTAL_URL:
        return str(settings.PORTAL_URL)
    return f"{request.scheme}://{request.get_host()}"


def immutable_url(base: str, artifact: Artifact) -> str:
    """Where this very artifact lies for good."""
    return f"{base}/{artifact.key}"


def paper_url(base: str, release: Release, name: str) -> str:
    """Where a sums file or manifest of a release lies for good."""
    return f"{base}/{release.key(name)}"


def moving_url(base: str, channel: str, name: str) -> str:
    """Where the present file of this name of a channel is."""
    return f"{base}/{channel_key(channel, name)}"
