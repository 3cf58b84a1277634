"""`manage.py token make|list|revoke`: API tokens from the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.db import IntegrityError
from django.utils import timezone

from builds.access import scopes_allowed
from builds.choices import Scope
from builds.management.rows import channel_named
from builds.models import Actor, Token


class Command(BaseCommand):
    """Makes one for somebody, lists them, or ends one; the text of a token is printed once."""

    help = "Make, list or revoke API tokens; see docs/tokens.md."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and of which token."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        make = verbs.add_parser("make", help="print a new token; nothing else goes to stdout")
        make.add_argument("owner", help="whose permissions bound it")
        make.add_argument("name", help="what uses it")
        make.add_argument("--scope", action="append", required=True, choices=Scope.values)
        make.add_argument("--channel", action="append", default=[], help="left out: every channel")
        make.add_argument("--days", type=int, default=settings.TOKEN_DAYS, help="of its life")
        listed = verbs.add_parser("list", help="the tokens there are, and when they were used")
        listed.add_argument("--owner")
        revoke = verbs.add_parser("revoke", help="end a token for good")
        revoke.add_argument("owner")
        revoke.add_argument("name")
        revoke.add_argument("--reason", default="")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it."""
        verb = {"make": self._make, "list": self._list, "revoke": self._revoke}[options["verb"]]
        verb(**options)

    def _make(self, **options: Any) -> None:
        owner, scopes, days = _user(options["owner"]), options["scope"], options["days"]
        if not 1 <= days <= settings.TOKEN_DAYS_MOST:
            raise CommandError(f"--days wants 1 to {settings.TOKEN_DAYS_MOST} (TOKEN_DAYS_MOST)")
        if beyond := sorted({Scope(scope) for scope in scopes} - scopes_allowed(owner)):
            raise CommandError(f"{owner} may not do that: {', '.join(beyond)}; see docs/roles.md")
        now = timezone.now()
        try:
            token, text = Token.objects.make(
                owner,
                options["name"],
                scopes=scopes,
                channels=[channel_named(name).name for name in options["channel"]],
                expires_at=now + timedelta(days=days),
                by=Actor.of(None),
                at=now,
            )
        except IntegrityError:
            raise CommandError(
                f"{owner} has a token {options['name']!r}; revoke it first"
            ) from None
        self.stdout.write(text)
        until = f"{token.expires_at:%Y-%m-%d}"
        self.stderr.write(f"{token}: {token.in_words()}; until {until}. It is not shown again.")

    def _list(self, **options: Any) -> None:
        now = timezone.now()
        tokens = Token.objects.shown(now)
        if options["owner"]:
            tokens = tokens.of(_user(options["owner"]))
        for token in tokens:
            used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
            state = token.refusal(now) or f"until {token.expires_at:%Y-%m-%d}"
            self.stdout.write(f"{token.hint}…  {token}  {token.in_words()}  {used}  {state}")

    def _revoke(self, **options: Any) -> None:
        owner = _user(options["owner"])
        token = Token.objects.of(owner).filter(name=options["name"], revoked_at=None).first()
        if token is None:
            names = Token.objects.of(owner).live(timezone.now()).values_list("name", flat=True)
            known = ", ".join(names) or "none at all"
            raise CommandError(f"{owner} has no token {options['name']!r}; known are: {known}")
        token.revoke(by=Actor.of(None), at=timezone.now(), reason=options["reason"])
        self.stdout.write(f"{token} is revoked")


def _user(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        known = ", ".join(User.objects.values_list("username", flat=True)) or "none at all"
        raise CommandError(f"there is no account {name!r}; known: {known}")
    return user
