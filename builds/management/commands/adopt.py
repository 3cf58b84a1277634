"""`manage.py adopt CHANNEL DIR`: takes images that were built elsewhere as a release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import pipeline, tasks
from builds.builders.base import BuilderError
from builds.choices import System
from builds.management.rows import channel_named, one_line, systems_of
from builds.models import Actor, Channel
from builds.pipeline import Adoption


class Command(BaseCommand):
    """Stores the folder's files, makes a draft of them, and hands it to the workers."""

    help = "Make a release of a folder with image files that were built elsewhere."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the channel, the folder, and what the folder does not tell by itself."""
        parser.add_argument("channel")
        parser.add_argument(
            "folder", type=Path, help="with files named as artifacts are, or a Nix store path"
        )
        parser.add_argument("--system", help="left out: the one that the channel is built for")
        parser.add_argument(
            "--version",
            dest="named",
            metavar="VERSION",
            default="",
            help="what the release is called",
        )
        parser.add_argument("--revision", default="", help="the revision it is of, 40 hex digits")
        parser.add_argument(
            "--from", dest="source", default="", help="where it was built; everybody reads it"
        )
        parser.add_argument(
            "--partial", action="store_true", help="even where variants of the channel are missing"
        )

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Leave --version to the release's; Django's own is one of every other command's."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **options)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Adopt, and print what was recognised, what was not, and where to watch the rest."""
        channel = channel_named(options["channel"])
        what = Adoption(
            channel=channel,
            system=_one_system(channel, options["system"]),
            folder=options["folder"],
            version=options["named"],
            revision=options["revision"],
            source=options["source"],
            partial=options["partial"],
        )
        try:
            with one_line():
                release = pipeline.adopt(
                    what, self.stdout.write, by=Actor.of(None), at=timezone.now()
                )
        except (BuilderError, OSError) as error:
            raise CommandError(f"{what.folder}: {error}") from error
        tasks.move_on(release)
        address = settings.PORTAL_URL + release.get_absolute_url()
        self.stdout.write(f"{channel} {release.system} {release.version}: {address}")


def _one_system(channel: Channel, wanted: str | None) -> System:
    systems = systems_of(channel, wanted)
    if len(systems) != 1:
        raise CommandError(f"say which --system the files are for: {', '.join(systems)}")
    return systems[0]
