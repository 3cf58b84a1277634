"""`manage.py trigger CHANNEL`: starts a release of a channel by hand."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

from builds import pipeline, tasks
from builds.choices import System, Trigger
from builds.models import Channel


class Command(BaseCommand):
    """Makes a draft for each system, or finds the one in the making, and hands it on."""

    help = "Start a release of a channel."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the channel, the system and whether to build an unmoved revision again."""
        parser.add_argument("channel")
        parser.add_argument("--system", help="one system only; left out: all of the channel's")
        parser.add_argument(
            "--force", action="store_true", help="even where the revision has not moved"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Trigger, and print where each draft can be watched."""
        channel = _channel(options["channel"])
        systems = _systems(channel, options["system"])
        for release in pipeline.trigger(
            channel, systems, why=Trigger.ADMIN, forced=options["force"]
        ):
            tasks.move_on(release)
            address = settings.PORTAL_URL + release.get_absolute_url()
            self.stdout.write(f"{channel} {release.system}: {address}")


def _channel(name: str) -> Channel:
    try:
        return Channel.objects.get(name=name)
    except Channel.DoesNotExist:
        known = ", ".join(Channel.objects.values_list("name", flat=True)) or "none at all"
        raise CommandError(f"there is no channel {name!r}; known are: {known}") from None


def _systems(channel: Channel, wanted: str | None) -> list[System]:
    systems = channel.systems()
    if wanted is None:
        return systems
    if wanted not in systems:
        known = ", ".join(systems) or "none at all"
        raise CommandError(f"{channel} is not built for {wanted!r}; known are: {known}")
    return [System(wanted)]
