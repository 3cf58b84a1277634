"""`manage.py boot CHANNEL --system S --variant V`: boots a release here, in this terminal."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from builds.boot.options import BadOptions
from builds.boot.remote import Portal, PortalError, RemoteFile
from builds.boot.trial import Trial, Wish, trial
from builds.choices import System, Variant
from builds.emulator.guest import Guest, GuestError
from builds.emulator.machine import Firmware
from builds.emulator.terminal import LEAVE_NAME, attach, show

_LINUX_TAKES = 300.0


class Command(BaseCommand):
    """Needs no database: it reads releases over HTTP, as any client does."""

    help = "Boot a published release in QEMU, with its console in this terminal."
    requires_system_checks = ()

    def create_parser(self, *names: str, **options: Any) -> CommandParser:
        """Let --version be that of the release, not Django's."""
        return super().create_parser(*names, conflict_handler="resolve", **options)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the release, and how its machine looks."""
        parser.add_argument("channel")
        parser.add_argument("--system", default=System.X86_64, choices=System.values)
        parser.add_argument("--variant", default=Variant.NETBOOT, choices=Variant.values)
        parser.add_argument("--version", default="", help="left out: the latest one")
        parser.add_argument("--firmware", type=Firmware, choices=list(Firmware))
        parser.add_argument("--memory", type=int, metavar="MIB", help="left out: what suits it")
        parser.add_argument("--append", default="", metavar="PARAMS", help="for the kernel")
        parser.add_argument("--ssh", type=int, default=0, metavar="PORT", help="to the guest's ssh")
        parser.add_argument("--portal", default=None, metavar="URL", help="left out: this one")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Work it out, boot, and stay until the machine ends or the person leaves."""
        try:
            planned = trial(self._wish(options), self._fetcher(options))
            self._boot(planned)
        except (PortalError, GuestError) as error:
            raise CommandError(str(error)) from None
        except BadOptions as wrong:
            raise CommandError(f"--append: {wrong.errors.get('params', wrong)}") from None
        except ValueError as wrong:
            raise CommandError(f"this can't be booted: {wrong}") from None

    def _wish(self, options: dict[str, Any]) -> Wish:
        portal = _portal(options["portal"])
        system = System(options["system"])
        return Wish(
            portal=portal,
            release=portal.release(options["channel"], system, options["version"]),
            variant=Variant(options["variant"]),
            firmware=options["firmware"],
            memory=options["memory"],
            append=options["append"],
            ssh_port=options["ssh"],
        )

    def _fetcher(self, options: dict[str, Any]) -> Any:
        portal, cache = _portal(options["portal"]), Path(settings.DATA_DIR) / "boots"
        return lambda file: self._fetch(portal, file, cache)

    def _fetch(self, portal: Portal, file: RemoteFile, cache: Path) -> Path:
        path = portal.fetch(file, cache, self._show_progress)
        self._say(f"{file.name}: sha256 {file.sha256} verified")
        return path

    def _show_progress(self, name: str, received: int, size: int) -> None:
        if self.stderr.isatty():
            self._say(f"{name}: {received * 100 // max(size, 1)} %", ending="\r")

    def _say(self, text: str, ending: str = "\n") -> None:
        """Beside the console, which is on standard output, and without the red of errors."""
        self.stderr.write(text, str, ending)
        self.stderr.flush()

    def _boot(self, planned: Trial) -> None:
        with Guest(planned.machine, echo=show) as guest:
            how = guest.accelerator
            self._say(f"{planned.how}, with {planned.machine.memory} MiB")
            self._say(f"accelerator: {how.name}. {how.reason}")
            self._say(f"{LEAVE_NAME} ends the machine.")
            if planned.wait_for:
                guest.wait_for(planned.wait_for, _LINUX_TAKES)
                guest.send(planned.then_type)
            left = attach(guest)
        self._say("\nThe machine was ended." if left else "\nThe machine has ended.")


def _portal(url: str | None) -> Portal:
    """The portal of this URL, else the one that these settings run."""
    chosen = url or settings.PORTAL_URL or f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    parts = urllib.parse.urlsplit(chosen)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CommandError(f"--portal: {chosen!r} is no URL such as http://127.0.0.1:8000")
    return Portal(chosen.rstrip("/"))
