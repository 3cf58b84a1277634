"""Counts of guesses that begin at nothing in each test, and people with passwords."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.cache import cache

from builds.tests.factories import UserFactory

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def fresh_counts() -> Iterator[None]:
    """Let no test be shut out for what another one guessed."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def quick_hashes(settings: LazySettings) -> None:
    """Django's own hash is slow on purpose, for seconds on a busy machine."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def person(name: str = "ann", **fields: object) -> User:
    """A user with the password."""
    user: User = UserFactory(username=name, **fields)
    user.set_password(PASSWORD)
    user.save()
    return user
