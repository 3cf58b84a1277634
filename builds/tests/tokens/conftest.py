"""People with tokens, and the requests that programs send."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from builds.choices import Scope, Standing
from builds.models import Actor, Channel, Token, give_standing
from builds.tests.factories import ChannelFactory, ReleaseFactory, UserFactory

API = "/api/v1/"


def owner(name: str = "ann", standing: Standing | None = Standing.ADMIN) -> User:
    user: User = UserFactory(username=name)
    give_standing(user, standing, by=Actor("test"), at=timezone.now())
    return User.objects.get(pk=user.pk)


def new_token(
    *scopes: Scope,
    of: User | None = None,
    name: str = "ci",
    channels: Iterable[str] = (),
    days: float = 30,
) -> tuple[Token, str]:
    """A token of an admin for every scope, unless told otherwise, and its text."""
    now = timezone.now()
    made = now - timedelta(days=100)
    return Token.objects.make(
        of or owner(),
        name,
        scopes=scopes or tuple(Scope),
        channels=tuple(channels),
        expires_at=now + timedelta(days=days),
        by=Actor("test"),
        at=made,
    )


def ask(
    text: str | None, path: str, body: Any = None, *, client: Client | None = None, **headers: str
) -> Any:
    """POST as a program does; `text` is the token's, None for none."""
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    if text is not None:
        said["Authorization"] = f"Bearer {text}"
    return (client or Client(enforce_csrf_checks=True)).post(
        f"{API}{path}",
        data=b"" if body is None else json.dumps(body),
        content_type="application/json",
        headers=said,
    )


def get(text: str | None, path: str) -> Any:
    said = {"Authorization": f"Bearer {text}"} if text is not None else {}
    return Client().get(f"{API}{path}", headers=said)


def demo(**fields: Any) -> Channel:
    channel: Channel = ChannelFactory(name="demo", systems=["x86_64-linux"], **fields)
    return channel


def finished() -> Any:
    """A draft that has passed everything."""
    return ReleaseFactory(finished=True)
