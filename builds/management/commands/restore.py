"""`manage.py restore`: rebuilds the database from the storage."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import catalogue, pipeline
from builds.catalogue import CatalogueError


class Command(BaseCommand):
    """Adds what the database lacks; what is there stays. Stop the portal before."""

    help = "Rebuild the database's channels, releases and heads from the storage."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to believe what nobody has signed."""
        parser.add_argument(
            "--unsigned",
            action="store_true",
            help="take releases that nobody signed or that came from elsewhere, too",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Restore, and print what came of each release; exit code 1 where one was refused."""
        try:
            catalogue.load(settings.BASE_DIR / "images" / "catalogue.toml")
        except CatalogueError as error:
            raise CommandError(str(error)) from error
        count = refused = 0
        try:
            for outcome in pipeline.restore(at=timezone.now(), unsigned=options["unsigned"]):
                self.stdout.write(str(outcome))
                count += 1
                refused += outcome.is_refused
        except OSError as error:
            raise CommandError(f"the storage failed: {error}") from error
        if refused:
            raise CommandError(f"{refused} of {count} were refused")
        self.stdout.write(f"{count} looked at")
