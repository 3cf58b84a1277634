"""`manage.py export CHANNEL FILE.tar`: packs releases, to be carried where no network leads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from builds import pipeline
from builds.choices import System
from builds.management.progress import Progress
from builds.models import Channel, Release
from builds.models.release_queries import ReleaseQuerySet
from builds.pipeline.mirrored import Refused


class Command(BaseCommand):
    """The latest of each system, or a version; the same releases give the same bytes."""

    help = "Pack published releases into a tar that manage.py import takes."

    def create_parser(self, *names: str, **options: Any) -> CommandParser:
        """Let --version be that of the release, not Django's."""
        return super().create_parser(*names, conflict_handler="resolve", **options)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the releases, and where they go."""
        parser.add_argument("channel")
        parser.add_argument("file", type=Path)
        parser.add_argument("--system", choices=System.values, help="left out: all")
        parser.add_argument(
            "--version", action="append", help="may be given again; left out: the latest"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Pack, and say what is in it."""
        target: Path = options["file"]
        if target.exists():
            raise CommandError(f"{target} is there already")
        releases = list(_wanted(options).with_files().order_by("sequence", "system"))
        if not releases:
            raise CommandError(f"{options['channel']} has no such published release")
        try:
            names = pipeline.pack(releases, target, told=Progress(self.stdout))
        except (Refused, OSError) as error:
            raise CommandError(str(error)) from None
        for release in releases:
            self.stdout.write(f"packed: {release}")
        self.stdout.write(f"{target}: {len(names)} files, {target.stat().st_size} bytes")


def _wanted(options: dict[str, Any]) -> ReleaseQuerySet:
    if not Channel.objects.filter(name=options["channel"]).exists():
        raise CommandError(f"there is no channel {options['channel']}")
    found = Release.objects.published().filter(channel__name=options["channel"])
    if options["system"]:
        found = found.filter(system=options["system"])
    if options["version"]:
        return found.filter(version__in=options["version"])
    return found.filter(heads__isnull=False)
