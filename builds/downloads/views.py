"""Download URLs: moving ones answer from the head, immutable ones from one release."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from builds.boot.addresses import base_url
from builds.downloads.at_head import artifact_at_head
from builds.downloads.rate import within_rate
from builds.downloads.responses import IMMUTABLE, MOVING, file_response, plain, text_response
from builds.logs import let_go
from builds.models import Artifact, Channel, Check, Damage, Release
from builds.pipeline import documents, naming
from builds.signing import PAPERS
from builds.storage import artifacts, public_key

DIGEST_SUFFIX = ".sha256"
SIGNED_WITHIN, LOOK_EVERY = 2.0, 0.05  # seconds


@csrf_exempt
@require_safe
@within_rate
def default_channel_file(request: HttpRequest, name: str) -> HttpResponseBase:
    """The latest file of this name of the default channel."""
    channel = Channel.objects.default()
    if channel is None:
        return plain("There is no channel yet.", 404)
    return _moving(request, channel.name, name)


@csrf_exempt
@require_safe
@within_rate
def channel_file(request: HttpRequest, channel: str, name: str) -> HttpResponseBase:
    """The latest file of this name of a channel."""
    return _moving(request, channel, name)


@csrf_exempt
@require_safe
@within_rate
def release_file(request: HttpRequest, channel: str, version: str, name: str) -> HttpResponseBase:
    """A file of one release, for good."""
    artifact = Artifact.objects.in_folder(channel, version, _without_suffix(name))
    if artifact is not None:
        release = artifact.release
        if not release.is_published:
            return _gone(request, release)
        return _artifact(request, artifact, name, IMMUTABLE)
    return _paper(request, channel, version, name)


@csrf_exempt
@require_safe
def check_picture(request: HttpRequest, check_id: int) -> HttpResponseBase:
    """What the screen showed at the end of a check, as PNG."""
    check = Check.objects.filter(pk=check_id).select_related("release__channel").first()
    if check is None or not check.picture:
        return plain("There is no picture of this check.", 404)
    data = artifacts().read(check.release.key(check.picture))
    if data is None:
        return plain("The picture was removed with the release's files.", 410)
    return text_response(request, check.picture, data, caching=MOVING, shown=True)


@csrf_exempt
@require_safe
def check_file(request: HttpRequest, check_id: int, name: str) -> HttpResponseBase:
    """What a check has kept of two builds that differ; a report as text, the rest as bytes."""
    check = Check.objects.filter(pk=check_id).select_related("release__channel").first()
    if check is None or name not in check.kept_files:
        return plain("There is no such file of this check.", 404)
    data = artifacts().read(check.release.key(name))
    if data is None:
        return plain("The file was removed with the release's files.", 410)
    return text_response(request, name, data, caching=MOVING)


@csrf_exempt
@require_safe
def key_file(request: HttpRequest, name: str) -> HttpResponseBase:
    """A public file of the release keys."""
    data = artifacts().read(public_key(name)) if name in PAPERS else None
    if data is None:
        return plain(f"There is no key file {name}.", 404)
    return text_response(request, name, data, caching=MOVING)


@csrf_exempt
@require_safe
def no_such_file(request: HttpRequest, rest: str) -> HttpResponseBase:
    """What no release has: machines that boot get no friendly page."""
    return plain(f"There is no {rest}.", 404)


def _moving(request: HttpRequest, channel: str, name: str) -> HttpResponseBase:
    # What differs from the immutable file of the same name comes first.
    plain_name = _without_suffix(name)
    data = documents.moving_file(channel, plain_name) or _signed_soon(channel, plain_name)
    if data is not None:
        if name != plain_name:
            return _digest_line(request, documents.digest(data), plain_name, MOVING)
        return text_response(request, name, data, caching=MOVING)
    artifact = artifact_at_head(channel, plain_name)
    if artifact is None:
        return plain(f"There is no {name} in {channel}.", 404)
    return _artifact(request, artifact, name, MOVING)


def _signed_soon(channel: str, name: str) -> bytes | None:
    """What the signer makes for a head that has just moved: it comes within moments, so who asks
    just now need not be told that there is none."""
    if name not in naming.signed_names():
        return None
    until = time.monotonic() + SIGNED_WITHIN
    while documents.may_be_signed_soon(channel, at=timezone.now()) and time.monotonic() < until:
        let_go()
        time.sleep(LOOK_EVERY)
        data = documents.moving_file(channel, name)
        if data is not None:
            return data
    return None


def _artifact(
    request: HttpRequest, artifact: Artifact, name: str, caching: str
) -> HttpResponseBase:
    """An artifact, or its digest; of a damaged one the digest only."""
    if name != artifact.name:
        return _digest_line(request, artifact.sha256, artifact.name, caching)
    damage = Damage.objects.of(artifact.release, name)
    if damage is not None:
        return _damaged(request, damage)
    return file_response(request, artifact, caching=caching)


def _paper(request: HttpRequest, channel: str, version: str, name: str) -> HttpResponseBase:
    """What stands beside the artifacts of a release, as it lies in the storage."""
    for release in Release.objects.named(channel, version).known_to_outside():
        if name not in naming.paper_names(release.system) | release.papers.keys():
            continue
        if name in naming.document_names(release.system) and name not in release.papers:
            continue  # its manifest names none
        if not release.is_published:
            return _gone(request, release)
        damage = Damage.objects.of(release, name)
        if damage is not None:
            return _damaged(request, damage)
        data = artifacts().read(release.key(name))
        if data is not None:
            # A stolen key's signatures are replaced; what they sign never is.
            caching = MOVING if naming.may_be_signed_again(name) else IMMUTABLE
            return text_response(request, name, data, caching=caching)
    return plain(f"There is no {name} in {channel} {version}.", 404)


def _digest_line(request: HttpRequest, sha256: str, name: str, caching: str) -> HttpResponseBase:
    data = documents.sums([documents.Line(sha256, name)])
    return text_response(request, f"{name}{DIGEST_SUFFIX}", data, caching=caching)


def _gone(request: HttpRequest, release: Release) -> HttpResponseBase:
    reason = f"{release} {_what_became(release)}"
    successor = release.successor()
    if successor is None:
        return plain(reason, 410)
    url = f"{base_url(request)}{successor.get_absolute_url()}"
    return plain(f"{reason}\nIn its place: {url}", 410, Link=f'<{url}>; rel="successor-version"')


def _what_became(release: Release) -> str:
    if release.is_expired:
        days = release.days_kept
        return f"was removed after {days} day{'' if days == 1 else 's'}: newer ones took its place."
    return f"was withdrawn: {release.reason}"


def _damaged(request: HttpRequest, damage: Damage) -> HttpResponseBase:
    """No 503: iPXE would ask again and again; no bytes: they are known to be wrong."""
    release = damage.release
    page = f"{base_url(request)}{release.get_absolute_url()}"
    text = f"{damage.name} of {release} is damaged in the storage and is not given out.\n{page}"
    return plain(text, 410)


def _without_suffix(name: str) -> str:
    return name.removesuffix(DIGEST_SUFFIX)
