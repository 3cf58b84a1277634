"""`manage.py migrate_storage`: moves every file from a folder to S3, or back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

from builds import pipeline
from builds.management.progress import Progress
from builds.storage import ArtifactStorage, BucketStorage, FolderStorage

KINDS = ("file", "s3")


class Command(BaseCommand):
    """Copies and compares; the source stays as it is. See docs/operations.md."""

    help = "Copy all stored files from a folder to S3 or back; resumes, and compares every byte."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the direction, the folder, and whether to list only."""
        parser.add_argument("source", choices=KINDS)
        parser.add_argument("target", choices=KINDS)
        parser.add_argument(
            "--folder", type=Path, default=settings.DATA_DIR / "storage", help="DATA_DIR/storage"
        )
        parser.add_argument("--dry-run", action="store_true", help="list what would be copied")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Move, a line for each file; exit code 1 where one is damaged or differs."""
        if options["source"] == options["target"]:
            raise CommandError("source and target are the same")
        ends = {
            "file": lambda: FolderStorage(location=options["folder"]),
            "s3": _bucket,
        }
        source, target = ends[options["source"]](), ends[options["target"]]()
        words: Counter[str] = Counter()
        size = 0
        told = Progress(self.stdout)
        try:
            for moved in pipeline.relocate(source, target, dry_run=options["dry_run"], told=told):
                words[moved.word] += 1
                size += moved.size
                (self.stderr if moved.is_bad else self.stdout).write(str(moved))
        except OSError as error:
            raise CommandError(f"a storage failed, run it again to go on: {error}") from error
        said = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
        if words["differs"] or words["damaged"]:
            raise CommandError(f"{said}: nothing that moves was copied")
        self.stdout.write(f"{said or 'nothing to move'}; {size} bytes")


def _bucket() -> ArtifactStorage:
    if not settings.AWS_STORAGE_BUCKET_NAME:
        raise CommandError("AWS_STORAGE_BUCKET_NAME is wanted, and what goes with it")
    return BucketStorage()
