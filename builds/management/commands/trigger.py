"""`manage.py trigger CHANNEL`: starts a release of a channel by hand."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import pipeline, tasks
from builds.choices import System, Trigger
from builds.management.rows import channel_named, one_line, systems_of, variant_named
from builds.models import Channel, Release


class Command(BaseCommand):
    """Makes a draft for each system, or finds the one in the making, and hands it on."""

    help = "Start a release of a channel."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the channel, the system and whether to build an unmoved revision again."""
        parser.add_argument("channel")
        parser.add_argument("--system", help="one system only; left out: all of the channel's")
        parser.add_argument(
            "--variant",
            help="try this variant again in the newest release, which failed for want of it",
        )
        parser.add_argument(
            "--force", action="store_true", help="even where the revision has not moved"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Trigger, and print where each draft can be watched."""
        channel = channel_named(options["channel"])
        systems = systems_of(channel, options["system"])
        if options["variant"]:
            drafts = _retried(channel, systems, options["variant"])
        else:
            drafts = pipeline.trigger(channel, systems, why=Trigger.ADMIN, forced=options["force"])
        for release in drafts:
            tasks.move_on(release)
            address = settings.PORTAL_URL + release.get_absolute_url()
            self.stdout.write(f"{channel} {release.system}: {address}")


def _retried(channel: Channel, systems: list[System], variant: str) -> list[Release]:
    wanted = variant_named(variant)
    at = timezone.now()
    with one_line():
        return [
            pipeline.retry_variant(channel, system, wanted, by=None, at=at) for system in systems
        ]
