"""`manage.py scrub`: hashes every stored file again and raises an alarm for each that changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import pipeline
from builds.models import Release
from builds.models.release_queries import ReleaseQuerySet
from builds.pipeline.scrub import MIB, Pace, Scrubbed


class Command(BaseCommand):
    """Reads all published files; exit code 1 where one is wrong or can't be read."""

    help = "Hash every stored file again; the exit code is 1 where one has changed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to hash, and how fast."""
        parser.add_argument("--release", help="CHANNEL/VERSION or CHANNEL/VERSION/SYSTEM; else all")
        parser.add_argument(
            "--since-days", type=int, help="leave out what was hashed within so many days"
        )
        parser.add_argument(
            "--rate", type=int, help="MiB a second; 0: no limit; left out: SCRUB_MIB_PER_SECOND"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Hash, with a line for each release, and say what was found."""
        at = timezone.now()
        days = options["since_days"]
        releases = Release.objects.to_scrub(None if days is None else at - timedelta(days=days))
        if options["release"]:
            releases = _named(releases, options["release"])
        rate = settings.SCRUB_MIB_PER_SECOND if options["rate"] is None else options["rate"]
        scrubbed = pipeline.scrub(releases, at=at, pace=Pace(rate * MIB), told=self._tell)
        self._conclude(scrubbed)

    def _tell(self, scrubbed: Scrubbed, release: Release) -> None:
        self.stdout.write(f"{scrubbed.size // MIB} MiB hashed; now {release}")

    def _conclude(self, scrubbed: Scrubbed) -> None:
        for damage in scrubbed.damaged:
            self.stderr.write(f"ALARM: {damage}")
        for unread in scrubbed.unread:
            self.stderr.write(f"not read: {unread}")
        said = f"{scrubbed.files} files of {scrubbed.releases} releases, {scrubbed.size} bytes"
        if not scrubbed.is_clean:
            wrong = f"{len(scrubbed.damaged)} damaged, {len(scrubbed.unread)} could not be read"
            raise CommandError(f"{said}: {wrong}")
        self.stdout.write(f"{said}: all as they were stored")


def _named(releases: ReleaseQuerySet, name: str) -> ReleaseQuerySet:
    channel, version, system, *rest = [*name.split("/"), "", ""]
    found = releases.named(channel, version)
    if system:
        found = found.filter(system=system)
    if any(rest) or not found.exists():
        raise CommandError(f"there is no published release {name!r} to hash")
    return found
