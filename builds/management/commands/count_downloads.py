"""`manage.py count_downloads`: counts what a front server answered, from its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from builds import pipeline


class Command(BaseCommand):
    """Counts each line once; see docs/stats.md."""

    help = "Count the downloads in a front server's log (combined format); resumes where it ended."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the log."""
        parser.add_argument("log", type=Path, help="the log; run it again as it grows or rotates")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, and print how far it is."""
        log: Path = options["log"]
        progress = None
        try:
            for progress in pipeline.count_log(log, at=timezone.now()):
                self.stdout.write(
                    f"{progress.offset * 100 // max(progress.size, 1)}%: "
                    f"{progress.lines} lines, {progress.downloads} downloads"
                )
        except OSError as error:
            raise CommandError(f"can't read {log}: {error.strerror}; name a log file") from error
        if progress is None:
            self.stdout.write("nothing new in it")
