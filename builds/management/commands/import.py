"""`manage.py import FILE.tar`: verifies releases that were carried here, and publishes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from builds import pipeline
from builds.management.progress import Progress
from builds.pipeline.mirrored import Refused
from builds.pipeline.signed import check_signers


class Command(BaseCommand):
    """All of the tar is verified before anything is written; doing it again does nothing."""

    help = "Publish the releases of a tar that manage.py export has made."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the tar, and whose signatures count."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--allowed-signers", metavar="FILE", type=Path, help="refuse what these don't sign"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Verify and publish, and say what came of each release."""
        path: Path = options["file"]
        try:
            signers = _signers(options["allowed_signers"])
            if not signers:
                self.stdout.write(
                    "only digests are checked, which come in the same tar; "
                    "--allowed-signers FILE checks who made it"
                )
            told = Progress(self.stdout)
            at = timezone.now()
            for outcome in pipeline.unpack(path, allowed_signers=signers, at=at, told=told):
                self.stdout.write(str(outcome))
        except (Refused, OSError) as error:
            raise CommandError(f"{path}: {error}") from None


def _signers(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return check_signers(path.read_text())
    except (Refused, OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--allowed-signers: {path}: {error}") from None
