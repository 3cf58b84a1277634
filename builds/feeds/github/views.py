"""GitHub's operations that read releases; below / and below /api/v3, as a GitHub of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect

from builds.boot.addresses import base_url
from builds.choices import ReleaseStatus
from builds.feeds.answers import for_programs, json_answer, json_missing, missing
from builds.feeds.github import tags
from builds.feeds.github.shapes import (
    REPOSITORY,
    Addresses,
    asset_shape,
    release_shape,
    repository_shape,
)
from builds.feeds.github.tags import Tagged
from builds.models import Artifact, Channel, Release

USUAL, MOST = 30, 100  # records on a page
BINARY = "application/octet-stream"


@for_programs
def repository(request: HttpRequest, root: str) -> HttpResponseBase:
    """The one repository there is."""
    return json_answer(request, repository_shape(_addresses(request, root)))


@for_programs
def releases(request: HttpRequest, root: str) -> HttpResponseBase:
    """A page of all tags; Link says where the others are."""
    at = _addresses(request, root)
    size = _number(request.GET, "per_page", USUAL, MOST)
    number = _number(request.GET, "page", 1, 10**9)
    shown, count = tags.page(number, size)
    last = max(math.ceil(count / size), 1)
    links = ", ".join(_links(f"{at.repository}/releases", number, last, size))
    records = [release_shape(tagged, at) for tagged in shown]
    return json_answer(request, records, headers={"Link": links} if links else None)


@for_programs
def latest(request: HttpRequest, root: str) -> HttpResponseBase:
    """The latest of the default channel."""
    return _release(request, root, tags.latest(), "release")


@for_programs
def by_tag(request: HttpRequest, root: str, tag: str) -> HttpResponseBase:
    """What a tag names."""
    return _release(request, root, tags.by_name(tag), f"tag {tag}")


@for_programs
def by_number(request: HttpRequest, root: str, number: int) -> HttpResponseBase:
    """The same by its number."""
    return _release(request, root, tags.by_number(number), f"release {number}")


@for_programs
def assets(request: HttpRequest, root: str, number: int) -> HttpResponseBase:
    """The files of a release."""
    tagged = tags.by_number(number)
    if tagged is None:
        return _not_found(request, f"release {number}")
    at = _addresses(request, root)
    return json_answer(request, [asset_shape(each, at) for each in tagged.artifacts])


@for_programs
def asset(request: HttpRequest, root: str, number: int) -> HttpResponseBase:
    """One file's record, or the way to its bytes for those who accept nothing else."""
    # By the joined row: a subquery would first list every release that there ever was.
    published = Artifact.objects.filter(release__status=ReleaseStatus.PUBLISHED).with_downloads()
    artifact = published.filter(pk=number).select_related("release__channel").first()
    if artifact is None:
        return _not_found(request, f"asset {number}")
    at = _addresses(request, root)
    if request.headers.get("Accept") == BINARY:
        return redirect(at.bytes_of(artifact))
    return json_answer(request, asset_shape(artifact, at), headers={"Vary": "Accept"})


@for_programs
def nothing(request: HttpRequest, root: str, rest: str) -> HttpResponseBase:
    """What this portal does not have of GitHub's API."""
    return _not_found(request, rest)


# The pages, for people and for scripts that read where /releases/latest leads.


@for_programs
def latest_page(request: HttpRequest) -> HttpResponseBase:
    """To the page of the tag that is the latest."""
    default = Channel.objects.default()
    if default is None:
        return missing("There is no channel yet.")
    return HttpResponseRedirect(f"{base_url(request)}/{REPOSITORY}/releases/tag/{default.name}")


@for_programs
def tag_page(request: HttpRequest, tag: str) -> HttpResponseBase:
    """To the portal's page of what a tag names, also where it was taken back."""
    channel, _, version = tag.strip("/").partition("/")
    row = Channel.objects.filter(name=channel).first()
    if row is not None and not version:
        return redirect(row)
    known = Release.objects.named(channel, version).known_to_outside()
    release = known.select_related("channel").order_by("-system").first() if version else None
    return redirect(release) if release else missing(f"There is no tag {tag}. {_known()}")


@for_programs
def front_page(request: HttpRequest) -> HttpResponseBase:
    """To the first page, where all channels are."""
    return redirect("dashboard")


def _release(request: HttpRequest, root: str, tagged: Tagged | None, what: str) -> HttpResponseBase:
    if tagged is None:
        return _not_found(request, what)
    return json_answer(request, release_shape(tagged, _addresses(request, root)))


def _not_found(request: HttpRequest, what: str) -> HttpResponseBase:
    """GitHub's form of an error, with our words."""
    record = {
        "message": f"Not Found: there is no {what}. {_known()}",
        "documentation_url": f"{base_url(request)}/api/v1/docs",
        "status": "404",
    }
    return json_missing(record)


def _known() -> str:
    return f"Tags: {Channel.objects.in_words()}; and each of them with /version."


def _addresses(request: HttpRequest, root: str) -> Addresses:
    return Addresses(base_url(request), root)


def _number(asked: QueryDict, name: str, default: int, most: int) -> int:
    """A number of the query; as GitHub does it, nonsense is left unheeded."""
    given = asked.get(name, "")
    is_number = given.isascii() and given.isdigit() and len(given) < 10  # noqa: PLR2004 - of digits
    return min(int(given) or default, most) if is_number else default


def _links(url: str, number: int, last: int, size: int) -> Iterator[str]:
    """Where the other pages are, as RFC 8288 writes it."""
    others = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
    present = {
        "prev": number > 1,
        "next": number < last,
        "last": number < last,
        "first": number > 1,
    }
    for name, page in others.items():
        if present[name]:
            yield f'<{url}?per_page={size}&page={page}>; rel="{name}"'
