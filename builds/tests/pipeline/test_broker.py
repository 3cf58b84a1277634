"""A broker that forgets: what waited in it is handed over again, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds import broker, tasks
from builds.models import Build
from builds.pipeline import Step
from builds.tests.factories import ReleaseFactory, UserFactory
from builds.tests.pipeline.conftest import MakeChannel, draft_of
from builds.tests.pipeline.driver import take
from portal.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.conf, "broker_url", redis_url)
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    flush()


def redis_of(connection: Any) -> Any:
    """The Redis client of a broker's connection."""
    return connection.default_channel.client


def flush() -> None:
    with app.connection_for_write() as connection:
        redis_of(connection).flushall()


def length(queue: str) -> int:
    with app.connection_for_read() as connection:
        return int(redis_of(connection).llen(queue))


@pytest.mark.usefixtures("_broker")
def test_flushed_broker_gets_every_waiting_build_again_and_only_once(
    make_channel: MakeChannel,
) -> None:
    release = draft_of(make_channel())
    take(Step("plan", release.pk))
    release.refresh_from_db()
    tasks.move_on(release)
    queue = f"build.{release.system}"
    assert length(queue) == Build.objects.queued().count() == 1

    flush()
    tasks.reconcile.run()
    assert length(queue) == 1
    tasks.reconcile.run()

    assert length(queue) == 1


@pytest.mark.usefixtures("_broker")
def test_withdrawal_is_told_at_once(client: Client) -> None:
    release = ReleaseFactory(published=True)
    client.force_login(UserFactory(admin=True))

    client.post(f"/releases/{release.pk}/withdraw", {"reason": "it eats disks"})

    assert broker.waiting("default") == {("notify", 0)}


@pytest.mark.usefixtures("_broker")
def test_release_that_can_not_be_signed_now_is_left_to_the_next_tick(
    signer_keys: Path, tmp_path: Path
) -> None:
    release = ReleaseFactory(finished=True, at=timezone.now())
    away = signer_keys.rename(tmp_path / "away")

    tasks.publish.run(release.pk)

    release.refresh_from_db()
    assert release.is_draft
    assert "as soon as that is possible" in release.reason
    assert broker.waiting("default") == {("pieces", 0)}
    away.rename(signer_keys)
    tasks.reconcile.run()
    assert ("publish", release.pk) in broker.waiting("default")
