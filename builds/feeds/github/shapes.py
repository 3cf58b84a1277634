"""The shapes of GitHub's API, each written out once; what we don't have is left out or null."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from builds.boot.addresses import paper_url
from builds.feeds.github.tags import Tagged
from builds.models import Artifact, Release
from builds.pipeline import naming
from builds.storage import content_type

REPOSITORY = "nix-community/nixos-images"
OWNER, NAME = REPOSITORY.split("/")
LOGIN = "nixos-images-portal"
_KINDS = ("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where things are: `base` is the portal, `root` the API's path, "" or /api/v3."""

    base: str
    root: str

    @property
    def repository(self) -> str:
        """The repository's record."""
        return f"{self.base}{self.root}/repos/{REPOSITORY}"

    @property
    def page(self) -> str:
        """The repository's page."""
        return f"{self.base}/{REPOSITORY}"

    def release(self, number: int) -> str:
        """One release's record."""
        return f"{self.repository}/releases/{number}"

    def asset(self, artifact: Artifact) -> str:
        """One file's record."""
        return f"{self.repository}/releases/assets/{artifact.pk}"

    def file(self, artifact: Artifact) -> str:
        """Where a file lies for good, by the seed's path."""
        return f"{self.page}/{artifact.key}"

    def bytes_of(self, artifact: Artifact) -> str:
        """The same below the API, which some readers don't leave."""
        return f"{self.base}{self.root}/{REPOSITORY}/{artifact.key}"


def repository_shape(at: Addresses) -> dict[str, Any]:
    """The repository, as far as readers of releases want it."""
    return {
        "id": 1,
        "node_id": _node("R", 1),
        "name": NAME,
        "full_name": REPOSITORY,
        "private": False,
        "owner": _user(at, OWNER),
        "html_url": at.page,
        "description": "NixOS images, built and checked by this portal",
        "fork": False,
        "url": at.repository,
        "releases_url": f"{at.repository}/releases{{/id}}",
        "homepage": f"{at.base}/",
        "default_branch": "main",
        "archived": False,
        "visibility": "public",
    }


def release_shape(tagged: Tagged, at: Addresses) -> dict[str, Any]:
    """What a tag names, with its files."""
    newest, url = tagged.newest, at.release(tagged.number)
    return {
        "url": url,
        "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}",
        "html_url": f"{at.page}/releases/tag/{tagged.tag}",
        "id": tagged.number,
        "author": _user(at, LOGIN),
        "node_id": _node("RE", tagged.number),
        "tag_name": tagged.tag,
        "target_commitish": newest.revision,
        "name": f"{newest.channel.name} {newest.version}",
        "draft": False,
        "immutable": not tagged.is_moving,
        "prerelease": False,
        "created_at": _instant(tagged.created_at),
        "updated_at": _instant(newest.published_at),
        "published_at": _instant(newest.published_at),
        "assets": [asset_shape(artifact, at) for artifact in tagged.artifacts],
        "tarball_url": None,
        "zipball_url": None,
        "body": "\n".join(_line(release, at) for release in tagged.releases),
    }


def asset_shape(artifact: Artifact, at: Addresses) -> dict[str, Any]:
    """One file. Its address is that of one release for good, so that it has this digest always."""
    return {
        "url": at.asset(artifact),
        "id": artifact.pk,
        "node_id": _node("RA", artifact.pk),
        "name": artifact.name,
        "label": None,
        "uploader": _user(at, LOGIN),
        "content_type": content_type(artifact.name),
        "state": "uploaded",
        "size": artifact.size,
        "digest": f"sha256:{artifact.sha256}",
        "download_count": getattr(artifact, "download_count", 0),
        "created_at": _instant(artifact.created_at),
        "updated_at": _instant(artifact.created_at),
        "browser_download_url": at.file(artifact),
    }


def _line(release: Release, at: Addresses) -> str:
    """One line of a release's text, in Markdown."""
    page = f"{at.base}{release.get_absolute_url()}"
    sums = paper_url(at.base, release, naming.sums_name(release.system))
    return (
        f"- [Release {release.sequence} for {release.system}]({page}), version "
        f"{release.version}, nixpkgs {release.revision}, [sums]({sums})"
    )


def _user(at: Addresses, login: str) -> dict[str, Any]:
    url = f"{at.base}{at.root}/users/{login}"
    number = 1 if login == OWNER else 2
    return {
        "login": login,
        "id": number,
        "node_id": _node("U", number),
        "avatar_url": f"{at.base}/static/favicon.svg",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{at.base}/",
        **{f"{kind}_url": f"{url}/{kind}" for kind in _KINDS},
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": "Organization" if login == OWNER else "Bot",
        "site_admin": False,
    }


def _node(kind: str, number: int) -> str:
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def _instant(at: datetime | None) -> str | None:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else None
