"""`manage.py rollback CHANNEL --system S [--to VERSION]`: moves the head to an earlier release."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import pipeline
from builds.choices import System
from builds.management.rows import channel_named, one_line, release_named


class Command(BaseCommand):
    """The release that was the latest stays published under its own name."""

    help = "Make an earlier published release the latest again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the channel, the system and, if not the one before, the version."""
        parser.add_argument("channel")
        parser.add_argument("--system", required=True, choices=System.values)
        parser.add_argument("--to", metavar="VERSION", help="left out: the one before the latest")
        parser.add_argument("--reason", default="by hand", help="for the log")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Roll back, and say what the latest is now."""
        channel = channel_named(options["channel"])
        system = System(options["system"])
        with one_line():
            release = (
                release_named(channel, options["to"], system)
                if options["to"]
                else pipeline.before_head(channel, system)
            )
            pipeline.roll_back(release, options["reason"], by=None, at=timezone.now())
        self.stdout.write(f"{release} is the latest again")
