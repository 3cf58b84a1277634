"""`manage.py playground`: fills an empty database with very many rows, to try the pages on."""

from __future__ import annotations

import time
from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from builds.management.crowd import make_crowd
from builds.models import Channel


class Command(BaseCommand):
    """Makes channels, releases, builds and files that are rows only: none can be downloaded."""

    help = "Fill an empty database with channels and years of releases, to try the pages on."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how many."""
        parser.add_argument("--channels", type=int, default=20)
        parser.add_argument("--releases", type=int, default=500, help="of each channel and system")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make them in one transaction, or none."""
        if Channel.objects.exists():
            raise CommandError(
                "this database has channels; a playground needs an empty one: "
                "set DATA_DIR to a new folder and run manage.py migrate"
            )
        started = time.monotonic()
        with transaction.atomic():
            make_crowd(options["channels"], options["releases"], at=timezone.now())
        self.stdout.write(f"made in {time.monotonic() - started:.1f} s")
