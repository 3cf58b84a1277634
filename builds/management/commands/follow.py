"""`manage.py follow URL`: publishes here what another portal, or a mirror of one, has published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from builds import pipeline
from builds.choices import System
from builds.management.progress import Progress
from builds.models import Followed
from builds.pipeline.mirrored import Refused
from builds.pipeline.signed import check_signers


class Command(BaseCommand):
    """Looks now; the portal's worker looks again every five minutes, unless it was --once."""

    help = "Follow another portal: take in its releases, and withdraw what it withdraws."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to follow, and whose signatures count."""
        parser.add_argument("url", nargs="?", help="what stands before /releases/download/ there")
        parser.add_argument("--channel", action="append", help="left out: all that are known here")
        parser.add_argument("--system", action="append", choices=System.values)
        parser.add_argument("--last", type=int, help="fetch so many of the newest releases; else 1")
        parser.add_argument("--once", action="store_true", help="look now, and never again")
        parser.add_argument("--stop", action="store_true", help="look at it no more")
        parser.add_argument("--list", action="store_true", help="what is followed")
        parser.add_argument(
            "--allowed-signers", metavar="FILE", help="pin these keys: refuse what they don't sign"
        )
        parser.add_argument(
            "--replace-signers", action="store_true", help="pin other keys than at the first follow"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Look, with a line for each thing; exit code 1 where anything was refused."""
        if options["list"]:
            self._list()
            return
        if not options["url"]:
            raise CommandError("whom to follow? manage.py follow URL")
        if options["stop"]:
            self._stop(options["url"])
            return
        row = self._remember(options)
        if not row.wants_signatures:
            self.stdout.write(
                "no keys are pinned: only digests are checked, which come from the same place; "
                "pin keys with --allowed-signers FILE"
            )
        self._follow(row)
        if row.is_active:
            self.stdout.write(f"{row} is followed by the portal's worker from now on")

    def _remember(self, options: dict[str, Any]) -> Followed:
        known = Followed.objects.named(options["url"])
        fields: dict[str, Any] = {}
        for option, name in (("channel", "channels"), ("system", "systems"), ("last", "last")):
            if options[option] is not None:
                fields[name] = options[option]
        if not (known and options["once"]):
            fields["is_active"] = not options["once"]
        try:
            if options["allowed_signers"]:
                signers = check_signers(Path(options["allowed_signers"]).read_text())
                _refuse_other_signers(known, signers, may_replace=options["replace_signers"])
                fields["allowed_signers"] = signers
            return Followed.objects.remember(options["url"], **fields)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except (OSError, UnicodeDecodeError, Refused) as error:
            raise CommandError(f"--allowed-signers: {error}") from None

    def _follow(self, row: Followed) -> None:
        refused = 0
        told = Progress(self.stdout)
        worker = f"command line {os.getpid()}"
        try:
            for outcome in pipeline.follow(row, worker=worker, at=timezone.now(), told=told):
                self.stdout.write(str(outcome))
                refused += outcome.is_refused
        except pipeline.Busy as error:
            raise CommandError(str(error)) from None
        if refused:
            again = "; the portal's worker tries again" if row.is_active else ""
            raise CommandError(f"{refused} refused{again}")
        self.stdout.write(f"{row} was read: nothing else is new")

    def _stop(self, url: str) -> None:
        row = Followed.objects.named(url)
        if row is None:
            raise CommandError(f"{url} is not followed; manage.py follow --list shows what is")
        Followed.objects.remember(url, is_active=False)
        self.stdout.write(f"{url} is looked at no more; what came from it stays")

    def _list(self) -> None:
        for row in Followed.objects.all():
            how = "followed" if row.is_active else "not followed any more"
            keys = "signatures wanted" if row.wants_signatures else "digests only"
            heard = f"{row.heard_at:%Y-%m-%d %H:%M} UTC" if row.heard_at else "never"
            self.stdout.write(f"{row}: {how}, {keys}, last read well: {heard}")
            for line in row.error.splitlines():
                self.stdout.write(f"  {line}")
        if not Followed.objects.exists():
            self.stdout.write("nothing is followed")


def _refuse_other_signers(known: Followed | None, signers: str, *, may_replace: bool) -> None:
    """Keys are pinned at the first follow; whoever pins others says so."""
    if known and known.allowed_signers not in {"", signers} and not may_replace:
        raise Refused("other keys were pinned at the first follow; --replace-signers pins these")
