"""Publishes and rolls back, over and over, in a process of its own: `publisher.py COUNT [SECONDS]`.

With SECONDS it waits so long before each, and the portal's signer signs.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import django


def sign_here() -> None:
    """Let this process sign with keys of its own, which it makes where there are none."""
    from django.conf import settings  # only after the set-up
    from django.utils import timezone

    from builds.signing import Keyring

    keyring = Keyring(Path(settings.SIGNER_KEYS))
    if not keyring.is_there:
        keyring.make(at=timezone.now())
    options = {"keys": str(keyring.folder)}
    settings.SIGNER = {"BACKEND": "builds.signer.local.LocalSigner", "OPTIONS": options}


def main(count: int, pause: float = 0) -> None:
    """Publish `count` times; after every fifth publish the head goes back and forth once."""
    django.setup()
    from django.conf import settings  # only after the set-up
    from django.utils import timezone

    from builds.models import Head, Release
    from builds.pipeline import write_moving
    from builds.tests.downloads.conftest import ready_release
    from builds.tests.factories import publish_held
    from builds.tests.models.rows import channel

    if not pause:
        sign_here()
    settings.MANIFEST_EXPIRES_DAYS = 100 * 365
    of = channel(is_default=True)

    def published(version: str) -> Release:
        release = ready_release(of, version)
        publish_held(release, timezone.now())
        return release

    before = published("week.0")
    print("ready", flush=True)  # the test waits for it
    for number in range(1, count):
        time.sleep(pause)
        release = published(f"week.{number}")
        if number % 5 == 0:
            for head in (before, release):
                Head.objects.move(head, at=timezone.now())
                write_moving(of.name)
        before = release


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:3]))
