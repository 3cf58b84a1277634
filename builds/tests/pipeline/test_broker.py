"""A broker that forgets: what waited in it is handed over again, once."""

from __future__ import annotations

import pytest

from builds import tasks
from builds.models import Build
from builds.pipeline import Step
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


def flush() -> None:
    with app.connection_for_write() as connection:
        connection.default_channel.client.flushall()


def length(queue: str) -> int:
    with app.connection_for_read() as connection:
        return int(connection.default_channel.client.llen(queue))


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
