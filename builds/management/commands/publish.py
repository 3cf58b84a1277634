"""`manage.py publish CHANNEL --system S`: finishes a publish without waiting for a worker."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import pipeline
from builds.choices import System
from builds.management.rows import channel_named, one_line, release_named
from builds.models import Channel, Release


class Command(BaseCommand):
    """Publishes a draft that has passed everything; of a published one rewrites what moves."""

    help = "Publish the draft of a channel that is built and checked, now and here."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the channel, the system and, if not the draft, the version."""
        parser.add_argument("channel")
        parser.add_argument("version", nargs="?", help="left out: the release in the making")
        parser.add_argument("--system", required=True, choices=System.values)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Publish, and say whether that was still to be done."""
        channel = channel_named(options["channel"])
        release = (
            release_named(channel, options["version"], options["system"])
            if options["version"]
            else _draft(channel, options["system"])
        )
        with one_line():
            was_new = pipeline.publish_now(release, by=None, at=timezone.now())
        release.refresh_from_db()
        done = "is published" if was_new else "was published already; what moves is rewritten"
        self.stdout.write(f"{release} {done}")


def _draft(channel: Channel, system: str) -> Release:
    draft = Release.objects.of(channel, system).drafts().select_related("channel").first()
    if draft is None:
        raise CommandError(f"no release of {channel} for {system} is in the making")
    return draft
