"""`manage.py account NAME`: makes an account, gives it a role, forgets a lost second factor."""

from __future__ import annotations

import secrets
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from builds.choices import Act, Standing
from builds.models import Actor, AuditEntry, give_standing

NONE = "none"


class Command(BaseCommand):
    """For the first accounts, and for whoever has shut himself out."""

    help = "Make an account or change what it may do; see docs/roles.md."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name and what to do."""
        parser.add_argument("name")
        parser.add_argument("--role", choices=[*Standing.values, NONE])
        parser.add_argument(
            "--create", action="store_true", help="where there is none; its password is printed"
        )
        parser.add_argument(
            "--forget-second-factor",
            action="store_true",
            help="authenticator app, passkeys and recovery codes; sign in by password alone then",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it, and say what was done."""
        with transaction.atomic():
            user = self._user(options["name"], create=options["create"])
            if options["role"]:
                self._give(user, options["role"])
            if options["forget_second_factor"]:
                self._forget(user)

    def _user(self, name: str, *, create: bool) -> User:
        user = User.objects.filter(username=name).first()
        if user is None and not create:
            known = ", ".join(User.objects.values_list("username", flat=True)) or "none at all"
            raise CommandError(f"there is no account {name!r} (--create makes it); known: {known}")
        if user is not None:
            return user
        password = secrets.token_urlsafe(12)
        user = User.objects.create_user(name, password=password)
        _record(Act.ADD, user, "")
        self.stdout.write(f"{name} signs in with the password {password}")
        return user

    def _give(self, user: User, role: str) -> None:
        standing = None if role == NONE else Standing(role)
        is_news = give_standing(user, standing, by=Actor.of(None), at=timezone.now())
        self.stdout.write(f"{user} {'is' if is_news else 'was'} {standing or 'of no role'}")

    def _forget(self, user: User) -> None:
        count, _ = Authenticator.objects.filter(user=user).delete()
        if count:
            _record(Act.CHANGE, user, "the second factor was forgotten")
        self.stdout.write(f"{user} has no second factor{' any more' if count else ''}")


def _record(act: Act, user: User, reason: str) -> None:
    AuditEntry.objects.record(act, user, by=Actor.of(None), at=timezone.now(), reason=reason)
