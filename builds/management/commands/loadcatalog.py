"""`manage.py loadcatalog`: makes rows of the catalogue's channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

from builds import catalogue
from builds.catalogue import CatalogueError


class Command(BaseCommand):
    """Adds the channels that are not there yet; what admins changed stays, save with --update."""

    help = "Make rows of the catalogue's channels that are not there yet."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file, and whether it has the last word."""
        default = settings.BASE_DIR / "images" / "catalogue.toml"
        parser.add_argument("file", nargs="?", type=Path, default=default)
        parser.add_argument(
            "--update", action="store_true", help="rewrite the channels that are there too"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Load, and say which channels were added, updated and kept."""
        try:
            loaded = catalogue.load(options["file"], update=options["update"])
        except CatalogueError as error:
            raise CommandError(str(error)) from error
        for word in ("added", "updated", "kept"):
            names = getattr(loaded, word)
            if names:
                self.stdout.write(f"{word}: {', '.join(names)}")
        for sentence in loaded.completed:
            self.stdout.write(f"checked too, because nothing is published unbooted: {sentence}")
