"""`manage.py audit verify`: walks the audit trail's chain."""

from __future__ import annotations

import re
from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

from builds.models import AuditEntry


class Command(BaseCommand):
    """Hashes every entry again; exit code 1 where one was changed, removed or put in."""

    help = "Check that nothing of the audit trail was changed; print where it ends."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and an end that was noted at an earlier time."""
        parser.add_argument("what", choices=["verify"])
        parser.add_argument(
            "--noted",
            metavar="NUMBER:DIGEST",
            help="what this command printed before; whoever rewrote the whole chain is found so",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Verify."""
        faults = list(AuditEntry.objects.faults())
        if options["noted"]:
            faults += _compared(options["noted"])
        for fault in faults[1:]:
            self.stderr.write(fault)
        if faults:
            raise CommandError(faults[0])
        last = AuditEntry.objects.newest_first().first()
        said = f"{last.number} entries, the last is {last.number}:{last.digest}" if last else "none"
        self.stdout.write(f"{said}; nothing was changed")


def _compared(noted: str) -> list[str]:
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", noted)
    if found is None:
        raise CommandError(f"--noted wants NUMBER:DIGEST as this command prints it, not {noted!r}")
    entry = AuditEntry.objects.filter(number=int(found[1])).first()
    if entry is None:
        return [f"entry {found[1]} was noted and is missing"]
    same = entry.digest == found[2]
    return [] if same else [f"entry {entry.number} is another one than was noted"]
