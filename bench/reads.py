"""Every public read of the portal: each route that anybody may GET, over the rows of a crowd.

The routes are those of the resolver, and what anybody gets there stands in the table that the
tests hold to it (`builds/tests/attack/routes.txt`): a new page is measured without being named
here, unless it stands in NOT_READ with a reason. Django must be set up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builds.choices import System
from builds.models import Artifact, Build, Channel, Host, Release
from builds.storage import artifacts
from builds.tests.attack.routes import filled, routes
from builds.tests.attack.table import lines

CHANNEL, SYSTEM = "crowd-01", System.X86_64
ANSWERED = frozenset({"200", "302"})
# The same views at addresses that programs know from elsewhere.
ALIASES = ("nix-community/", "api/v3/")
# Begins of routes, and why they are not measured.
NOT_READ = {
    "accounts/": "signing in: nothing of a release",
    "admin/": "for staff",
    "checks/": "a file of one check, found by its number",
    "keys/": "a file of the keys",
    "readyz": "asks whether other programs are there",
    "releases/drafts/": "leads anybody to the sign-in",
    "streams/v1/key.asc": "a key of OpenPGP, which is made by hand",
    "streams/v1/index.sjson": "index.json, signed by that key",
    "streams/v1/org.nixos.images:<str:channel>:download.sjson": "download.json, signed by it",
    "releases/download/<str:channel>/<str:name>.torrent": "wants all of a file hashed in pieces",
    "releases/download/<str:channel>/<str:version>/<str:name>.torrent": "the same",
    "releases/latest/download/<str:name>.torrent": "the same",
}
WANTS_QUERY = "api/latestbuilds"
# What else is asked of a route.
QUERIES = {
    "": (f"?channel={CHANNEL}&system=aarch64-linux&method=ipxe",),
    WANTS_QUERY: (f"?nr=100&jobset={CHANNEL}",),
    "api/v1/builds/": (f"?channel={CHANNEL}&system=aarch64-linux&status=failed&variant=netboot",),
    "api/v1/latest/<channel>/<system>/": ("?at={before}",),
    "api/v1/releases/": (f"?channel={CHANNEL}&system=aarch64-linux&status=failed&variant=netboot",),
    "builds/": (f"?status=failed&channel={CHANNEL}&variant=netboot",),
    "channels/<str:channel>/": (f"?system={SYSTEM}",),
}
# What tells one release or build from another.
ONE_OF_MANY = ("version", "pk", "number", "build_id", "tag")


@dataclass(frozen=True, slots=True)
class Read:
    """One read: its name is the same over every database."""

    name: str
    path: str


def measured_routes() -> list[str]:
    """The routes that are read."""
    table = lines()
    return [
        route
        for route in routes()
        if route in QUERIES or table[route].expected("GET", "anonymous") & ANSWERED
        if not route.startswith((*ALIASES, *NOT_READ))
    ]


def reads() -> list[Read]:
    """All of them, of a release or a build both the newest and the oldest; stores their files."""
    channel = Channel.objects.get(name=CHANNEL)
    good = Release.objects.published().of(channel, SYSTEM)
    newest, oldest = good[0], good.order_by("published_at", "pk")[0]
    before = f"{good[min(5, len(good[:6]) - 1)].published_at:%Y-%m-%d}"
    Channel.objects.filter(pk=channel.pk).update(is_default=True)
    token = Host.objects.create(name="rescue", channel=channel).token or ""
    for release in (newest, oldest):
        _store(release)
    known = {"newest": _values(newest, token), "oldest": _values(oldest, token)}
    return [
        Read(name, path.replace("{before}", before))
        for route in measured_routes()
        for name, path in _asked(route, known)
    ]


def _asked(route: str, known: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, str]]:
    is_one_of_many = any(f":{name}>" in route or f"<{name}>" in route for name in ONE_OF_MANY)
    for age in ("newest", "oldest") if is_one_of_many else ("newest",):
        if route == WANTS_QUERY:
            break
        path = filled(route, known[age])
        yield f"/{route}, {age}" if is_one_of_many else f"/{route}", path
    for query in QUERIES.get(route, ()):
        yield f"/{route}{query}", f"{filled(route, known['newest'])}{query}"


def _values(release: Release, token: str) -> dict[str, object]:
    """For the parameters of routes; see `filled`."""
    build: Build = release.builds.order_by("pk")[0]
    artifact = release.artifacts.get(name=f"initrd-{SYSTEM}")
    releases = "repos/nix-community/nixos-images/releases"
    return {
        "channel": CHANNEL,
        "version": release.version,
        "system": SYSTEM,
        "name": artifact.name,
        "pk": build.pk,
        "build_id": build.pk,
        "token": token,
        "segment": "e30",  # {}: no options
        "job": f"netboot.{SYSTEM}",
        "kind": "file",
        "subtype": "initrd",
        "number": 1,
        "tag": f"{CHANNEL}/{release.version}",
        "schemas/<str:name>.json name": "release",
        f"{releases}/<int:number> number": 2 * release.channel_id,
        f"{releases}/<int:number>/assets number": 2 * release.channel_id,
        f"{releases}/assets/<int:number> number": artifact.pk,
    }


def _store(release: Release) -> None:
    """Let its files be there, small."""
    for artifact in release.artifacts.all():
        data = f"{artifact.name} of {release.version}\n".encode()
        artifacts().write_once(release.key(artifact.name), data)
        digest = hashlib.sha256(data).hexdigest()
        Artifact.objects.filter(pk=artifact.pk).update(size=len(data), sha256=digest)
