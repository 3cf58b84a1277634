"""`manage.py withdraw CHANNEL VERSION --system S --reason R`: takes a release back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import pipeline, tasks
from builds.choices import System
from builds.management.rows import channel_named, one_line, release_named


class Command(BaseCommand):
    """Its files answer 410 from then on, and the release before it becomes the latest."""

    help = "Take a published release back; this can't be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the release and the reason that everybody will read."""
        parser.add_argument("channel")
        parser.add_argument("version")
        parser.add_argument("--system", required=True, choices=System.values)
        parser.add_argument("--reason", required=True, help="everybody can read it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Withdraw, and say what the latest is now."""
        channel = channel_named(options["channel"])
        release = release_named(channel, options["version"], options["system"])
        with one_line():
            pipeline.withdraw(release, options["reason"], by=None, at=timezone.now())
        tasks.tell()
        now = release.successor()
        self.stdout.write(f"{release} is withdrawn; the latest is {now or 'none: nothing is left'}")
