"""`manage.py prepare`: makes an empty database ready; on a ready one it changes nothing."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from builds import catalogue, pipeline, tasks
from builds.catalogue import CatalogueError
from builds.choices import Trigger
from builds.models import FIRST_START, Channel, Release, Subscription
from builds.signing import Keyring, Refused, fingerprint
from builds.storage import PUBLIC, BucketStorage, Unfit, artifacts, try_out

CATALOGUE = Path("images") / "catalogue.toml"
# The API's pages are drawn by Swagger; compressing what nobody asks for takes seconds.
LEFT_OUT = ("redoc*",)


class Command(BaseCommand):
    """Database, static files, catalogue, admin, first builds; `make run` calls it at each start."""

    help = "Make the database, static files, catalogue, admin and first builds ready."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Do each part that has not been done before."""
        started = time.monotonic()
        for line in try_storage():
            self._say(line)
        call_command("migrate", verbosity=0, interactive=False)
        collect_static()
        load_catalogue()
        self._say(f"database, static files, catalogue: {time.monotonic() - started:.0f} s")
        password = make_admin()
        if password:
            self._say(f"sign in at /admin/ as admin with the password {password}")
            self._say("it is shown this once; manage.py changepassword admin sets another")
        for line in make_keys():
            self._say(line)
        with suppress(OSError, Refused):  # they are stored with the first release, too
            pipeline.write_keys()
        Subscription.objects.ensure_admins()
        if has_lost_releases():
            self._say("the storage holds releases that the database does not know: stop the")
            self._say("portal and run manage.py restore; no first build is made until then")
        for release in first_drafts():
            tasks.move_on(release)
        tasks.reconcile()

    def _say(self, text: str) -> None:
        self.stdout.write(f"portal: {text}")
        self.stdout.flush()


def try_storage() -> list[str]:
    """Try what a bucket is relied on for; what is worth knowing. Raises CommandError.

    One that is away stops no start: pages and the record work without it.
    """
    storage = artifacts()
    if not isinstance(storage, BucketStorage):
        return []
    # Of a time when the files lay in a folder: a front server would go on with what it finds.
    shutil.rmtree(settings.DATA_DIR / "storage" / PUBLIC, ignore_errors=True)
    try:
        return try_out(storage)
    except Unfit as unfit:
        raise CommandError(f"the storage can't be relied on: {unfit}") from None
    except OSError as error:
        return [f"the storage could not be tried, it is used all the same: {error}"]


def collect_static() -> None:
    """Collect, hash and compress the static files if any has changed since the last time."""
    stamp = Path(settings.STATIC_ROOT) / "collected.sha256"
    wanted = _digest_of_static()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", verbosity=0, interactive=False, ignore_patterns=list(LEFT_OUT))
    stamp.write_text(wanted)


def _digest_of_static() -> str:
    digest = hashlib.sha256(str(settings.STORAGES["staticfiles"]["BACKEND"]).encode())
    for finder in get_finders():
        for path, storage in finder.list(list(LEFT_OUT)):
            with storage.open(path) as file:
                digest.update(f"\0{path}\0{hashlib.sha256(file.read()).hexdigest()}".encode())
    return digest.hexdigest()


def load_catalogue() -> None:
    """Load the catalogue where there is no channel; afterwards the rows belong to the admin."""
    if Channel.objects.exists():
        return
    try:
        catalogue.load(settings.BASE_DIR / CATALOGUE)
    except CatalogueError as error:
        raise CommandError(str(error)) from error


def make_admin() -> str:
    """Make the superuser “admin” where there is no superuser at all; the password, or ""."""
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists() or users.filter(username="admin").exists():
        return ""
    password = secrets.token_urlsafe(12)
    users.create_superuser("admin", password=password)
    return password


def make_keys() -> list[str]:
    """Make the release keys where there are none; what a person should note, once.

    Where SIGNER_SOCKET names a signer that somebody else runs, so are its keys.
    """
    keyring = Keyring(Path(settings.SIGNER_KEYS))
    if os.environ.get("SIGNER_SOCKET", "").strip() or keyring.is_there:
        return []
    at = timezone.now()
    keyring.make(at=at)
    pipeline.record_root(keyring.root, at=at, by=FIRST_START)
    pipeline.record_keys(None, keyring.read(), at=at, by=FIRST_START)
    return [
        f"made a root key for signatures: {fingerprint(keyring.root)}",
        "note that; it lies in the data folder and belongs on another machine: docs/keys.md",
    ]


def has_lost_releases() -> bool:
    """Whether building would come before restoring; a storage that is away stops no start."""
    try:
        return pipeline.lost_releases()
    except OSError:
        return False


def first_drafts() -> list[Release]:
    """Drafts of the channels that an empty portal builds at once.

    None where there is a release, or will be: in the storage, or from a portal that is followed.
    """
    if settings.FOLLOW_URL or Release.objects.exists() or has_lost_releases():
        return []
    return [
        release
        for channel in Channel.objects.for_first_start()
        for release in pipeline.trigger(channel, channel.systems(), why=Trigger.FIRST_START)
    ]
