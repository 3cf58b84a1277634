"""`manage.py mirror add|list|check|remove`: the mirrors that are checked and offered."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from builds import pipeline
from builds.choices import Act, MirrorState
from builds.models import Actor, AuditEntry, Mirror


class Command(BaseCommand):
    """The same as in the admin, for a terminal."""

    help = "Register mirrors, list them, check them now, or remove them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and with which mirror."""
        verbs = parser.add_subparsers(dest="verb", required=True, parser_class=ArgumentParser)
        add = verbs.add_parser("add", help="register a mirror and check it")
        add.add_argument("url", help="what stands before /releases/download/ there")
        add.add_argument("--title", help="who runs it; left out: its host")
        add.add_argument("--country", default="", help="two letters: DE")
        add.add_argument("--place", default="", help="the town, for example")
        verbs.add_parser("list", help="all of them, and how they stand")
        check = verbs.add_parser("check", help="look at one, or all, now")
        check.add_argument("url", nargs="?")
        remove = verbs.add_parser("remove", help="forget a mirror")
        remove.add_argument("url")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it; exit code 1 where a mirror that was checked is not up to date."""
        {
            "add": self._add,
            "list": self._list,
            "check": self._check,
            "remove": self._remove,
        }[options["verb"]](options)

    def _add(self, options: dict[str, Any]) -> None:
        told = {name: options[name] for name in ("url", "country", "place")}
        mirror = Mirror(**told, title=options["title"] or options["url"].partition("://")[2])
        try:
            mirror.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        mirror.save()
        self._record(Act.ADD, mirror)
        self._check_all([mirror])

    def _list(self, _options: dict[str, Any]) -> None:
        for mirror in Mirror.objects.all():
            self._say(mirror)
        if not Mirror.objects.exists():
            self.stdout.write("no mirror is registered")

    def _check(self, options: dict[str, Any]) -> None:
        self._check_all([_named(options["url"])] if options["url"] else list(Mirror.objects.all()))

    def _remove(self, options: dict[str, Any]) -> None:
        mirror = _named(options["url"])
        self._record(Act.DELETE, mirror)
        mirror.delete()
        self.stdout.write(f"{options['url']} is forgotten")

    def _check_all(self, mirrors: list[Mirror]) -> None:
        for mirror in mirrors:
            if not pipeline.check_mirror(mirror, worker="command line", at=timezone.now()):
                raise CommandError(f"{mirror.url} is looked at right now by {mirror.worker}")
            self._say(mirror)
        bad = [mirror for mirror in mirrors if mirror.state != MirrorState.FRESH]
        if bad:
            raise CommandError(f"{len(bad)} of {len(mirrors)} are not up to date")

    def _say(self, mirror: Mirror) -> None:
        where = f" ({mirror.where})" if mirror.where else ""
        disabled = "" if mirror.is_enabled else ", not enabled"
        self.stdout.write(f"{mirror.url}{where}: {mirror.get_state_display()}{disabled}")
        for line in mirror.note.splitlines():
            self.stdout.write(f"  {line}")

    def _record(self, act: Act, mirror: Mirror) -> None:
        AuditEntry.objects.record(act, mirror, by=Actor.of(None), at=timezone.now())


def _named(url: str) -> Mirror:
    mirror = Mirror.objects.filter(url=url.rstrip("/")).first()
    if mirror is None:
        raise CommandError(f"{url} is not registered; manage.py mirror list shows what is")
    return mirror
