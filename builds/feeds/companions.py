"""What stands beside each download: its metalink and its torrent."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from builds.boot.addresses import base_url, moving_url
from builds.feeds import metalink, torrent
from builds.feeds.answers import INERT, answer, for_programs, missing, no_channel
from builds.models import Artifact, Channel, Damage, Pieces

PREVIOUS_TOLD = 20  # versions
AGAIN_AFTER = 600  # seconds: the tick that hashes
_HEADERS = {"Content-Security-Policy": INERT}


@for_programs
def meta4(
    request: HttpRequest, name: str, channel: str = "", version: str = ""
) -> HttpResponseBase:
    """Size, digests and sources of a file: of one release, or of the latest."""
    found = _find(name, channel, version, metalink.SUFFIX)
    if not isinstance(found, Artifact):
        return found
    base = base_url(request)
    origin = f"{moving_url(base, found.release.channel.name, name)}{metalink.SUFFIX}"
    # What was there before is told where it moves: of one version nothing ever changes.
    previous = () if version else Artifact.objects.others_of_its_name(found, PREVIOUS_TOLD)
    pieces = Pieces.objects.of(found)
    data = metalink.metalink(found, pieces, base, origin=origin, previous=previous)
    return answer(request, data, metalink.MEDIA_TYPE, headers=_HEADERS)


@for_programs
def torrent_file(
    request: HttpRequest, name: str, channel: str = "", version: str = ""
) -> HttpResponseBase:
    """The torrent of a file, once its pieces have been hashed."""
    found = _find(name, channel, version, torrent.SUFFIX)
    if not isinstance(found, Artifact):
        return found
    pieces = Pieces.objects.of(found)
    if pieces is None:
        text = f"The torrent of {name} is still being made; ask again in {AGAIN_AFTER // 60} min."
        return missing(text, headers={**_HEADERS, "Retry-After": str(AGAIN_AFTER)})
    data = torrent.torrent(found, pieces, base_url(request))
    return answer(request, data, torrent.MEDIA_TYPE, headers=_HEADERS)


def _find(name: str, channel: str, version: str, suffix: str) -> Artifact | HttpResponseBase:
    """The artifact; the answer that says why not where it can't be had."""
    if not channel:
        default = Channel.objects.default()
        channel = default.name if default else ""
    if version:
        artifact = Artifact.objects.in_folder(channel, version, name)
    else:
        artifact = Artifact.objects.at_head(channel, name)
    if artifact is None:
        return _none(name, channel, version, suffix)
    if not artifact.release.is_published:
        return missing(
            f"{artifact.release} is {artifact.release.status}.", status=410, headers=_HEADERS
        )
    if Damage.objects.of(artifact.release, name) is not None:
        return missing(f"{name} is damaged and not given out.", status=410, headers=_HEADERS)
    return artifact


def _none(name: str, channel: str, version: str, suffix: str) -> HttpResponseBase:
    """No such file; which there are."""
    if not Channel.objects.filter(name=channel).exists():
        response = no_channel(channel)
        response["Content-Security-Policy"] = INERT
        return response
    names = Artifact.objects.names_in(channel, version)
    known = ", ".join(f"{each}{suffix}" for each in names) or "none yet"
    where = f"{channel} {version}".strip()
    return missing(f"There is no {name}{suffix} in {where}. There are: {known}.", headers=_HEADERS)
