"""What is followed again and again, by the worker, and what the pages say of it."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from builds import pipeline
from builds.models import Channel, Followed
from builds.tests.mirrors.conftest import (
    Keys,
    Tree,
)
from builds.tests.mirrors.following import (
    follow,
    pin,
    versions,
)
from builds.tests.models.rows import channel
from builds.tests.retention.conftest import storage_kind
from builds.tests.web.reading import text_of

__all__ = ["storage_kind"]


pytestmark = pytest.mark.django_db


def test_setting_names_what_the_worker_follows(
    first: Tree, settings: LazySettings, tmp_path: Path, keys: Keys
) -> None:
    settings.FOLLOW_URL, settings.FOLLOW_CHANNELS = first.url, ["demo"]
    channel(is_active=True)

    pipeline.follow_all(worker="test:1", at=timezone.now())

    assert versions() == {"1.0"}
    settings.FOLLOW_ALLOWED_SIGNERS = pin(tmp_path, keys.allowed)[1]
    pipeline.follow_all(worker="test:1", at=timezone.now())
    assert Followed.objects.get().allowed_signers == keys.allowed


def test_what_was_followed_once_is_not_followed_by_the_worker(first: Tree) -> None:
    follow(first, "--once")
    assert not Followed.objects.active().exists()
    follow(first)
    assert Followed.objects.active().exists()
    call_command("follow", first.url, "--stop", stdout=io.StringIO())
    assert not Followed.objects.active().exists()


def test_status_says_how_old_the_knowledge_is(first: Tree, client: Client) -> None:
    follow(first)
    assert f"releases from {first.url} read just now" in text_of(client.get("/status/"))
    Followed.objects.update(heard_at=timezone.now() - timedelta(days=3))

    assert "last read 3 days ago: newer releases are not known here" in text_of(
        client.get("/status/")
    )
    assert "last read 3 days ago" in text_of(client.get("/mirrors/"))


def test_every_known_channel_is_followed_where_none_is_named(first: Tree) -> None:
    channel("demo"), channel("unknown-there")
    out = io.StringIO()

    call_command("follow", first.url, stdout=out)

    assert versions() == {"1.0"}
    assert Channel.objects.get(name="unknown-there").is_active
