"""`python -m bench.grown RELEASES`: a database of its own with so many releases of each channel.

Says {"artifacts": n, "pages": [[name, path, queries], …]} of every public page and API read; the
names are the same over every database.
DATA_DIR or DATABASE_URL say where; channels, systems and what a page shows never differ.
"""

from __future__ import annotations

import json
import os
import sys

CHANNELS = 4
PAGES = (
    "/",
    "/?channel=crowd-02&system=aarch64-linux&method=ipxe",
    "/channels/crowd-01/",
    "/channels/crowd-01/?system=x86_64-linux",
    "/channels/crowd-01/x86_64-linux/",
    "/builds/",
    "/builds/?status=failed&channel=crowd-01&variant=netboot",
    "/boot/",
    "/boot.ipxe",
    "/boot/crowd-01.ipxe",
    "/k/crowd-01",
    "/status/",
    "/stats/",
    "/verify/",
    "/metrics",
    "/feed.atom",
    "/channels/crowd-01/feed.atom",
    "/repos/nix-community/nixos-images",
    "/repos/nix-community/nixos-images/releases",
    "/repos/nix-community/nixos-images/releases/latest",
    "/repos/nix-community/nixos-images/releases/tags/crowd-01",
    "/api/latestbuilds?nr=100&jobset=crowd-01",
    "/streams/crowd-01.json",
    "/streams/v1/index.json",
    "/streams/v1/org.nixos.images:crowd-01:download.json",
    "/badge/crowd-01/x86_64-linux.svg",
    "/badge/crowd-01/aarch64-linux.json",
    "/releases/download/crowd-01/SHA256SUMS",
    "/releases/download/crowd-01/initrd-x86_64-linux.sha256",
    "/releases/download/crowd-01/initrd-x86_64-linux.meta4",
    "/releases/latest/download/initrd-x86_64-linux.meta4",
    "/api/v1/channels/",
    "/api/v1/channels/crowd-01/",
    "/api/v1/latest/crowd-01/x86_64-linux/",
    "/api/v1/latest/crowd-01/x86_64-linux/?at={before}",
    "/api/v1/releases/",
    "/api/v1/releases/?channel=crowd-01&system=aarch64-linux&status=failed&variant=netboot",
    "/api/v1/builds/",
    "/api/v1/builds/?channel=crowd-01&system=aarch64-linux&status=failed&variant=netboot",
)


def main(releases: int) -> None:
    """Make the rows; ask for every page once, and count."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from builds.management.crowd import make_crowd
    from builds.models import Artifact

    call_command("migrate", verbosity=0)
    make_crowd(CHANNELS, releases, at=timezone.now(), whole=releases)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client = Client(headers={"Host": "localhost"})
    pages = []
    for name, path in _paths():
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(path)
            assert answer.status_code == 200, (path, answer.status_code)
            answer.close()
        pages.append((name, path, len(captured)))
    print(json.dumps({"artifacts": Artifact.objects.count(), "pages": pages}))


def _paths() -> list[tuple[str, str]]:
    """Names and paths: of the lists, and of a release and a build, the newest and the oldest."""
    from builds.models import Channel, Release

    good = Release.objects.published().of(Channel.objects.get(name="crowd-01"), "x86_64-linux")
    before = f"{good[5].published_at:%Y-%m-%d}"
    paths = [(page, page.format(before=before)) for page in PAGES]
    for age, row in (("newest", good[0]), ("oldest", good.order_by("published_at", "pk")[0])):
        build = row.builds.order_by("pk")[0]
        api = f"/api/v1/releases/{row.channel.name}/{row.version}/{row.system}/"
        own = {
            "release, page": row.get_absolute_url(),
            "release, API": api,
            "build, page": build.get_absolute_url(),
            "build, API": f"/api/v1/builds/{build.pk}/",
            "build, its log": f"/api/v1/builds/{build.pk}/log",
        }
        paths += [(f"{age} {name}", path) for name, path in own.items()]
    return paths


if __name__ == "__main__":
    main(int(sys.argv[1]))
