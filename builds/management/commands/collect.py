"""`manage.py collect`: removes what retention lets go, as the daily tick does."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import pipeline
from builds.models import Channel
from builds.pipeline.collect import Failure


class Command(BaseCommand):
    """Marks, expires and deletes; see docs/retention.md."""

    help = "Remove releases whose time is over, and files that nothing names."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the channel, and whether to list only."""
        parser.add_argument("--dry-run", action="store_true", help="list what would be done")
        parser.add_argument("--channel", help="one channel only; left out: all, and leftovers")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do each act and print it; exit code 1 where the storage failed."""
        channel = _channel(options["channel"]) if options["channel"] else None
        at = timezone.now()
        work = pipeline.acts if options["dry_run"] else pipeline.collect
        failed = 0
        count = 0
        try:
            for act in work(at=at, channel=channel):
                self.stdout.write(str(act))
                failed += isinstance(act, Failure)
                count += 1
        except OSError as error:
            raise CommandError(f"the storage failed: {error}") from error
        if not count:
            self.stdout.write("nothing to collect")
        if failed:
            raise CommandError(f"{failed} of {count} could not be done; the next run tries again")


def _channel(name: str) -> Channel:
    try:
        return Channel.objects.get(name=name)
    except Channel.DoesNotExist:
        raise CommandError(f"there is no channel {name!r}") from None
