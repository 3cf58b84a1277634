"""A receiver that the portal may reach, and subscriptions to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from builds import pipeline
from builds.models import Subscription
from builds.tests.notices.receiver import Receiver

Subscribe = Callable[..., Subscription]
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture(autouse=True)
def _may_reach_loopback(settings: LazySettings) -> None:
    settings.WEBHOOK_NETWORKS = LOOPBACK


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver.open() as opened:
        yield opened


@pytest.fixture
def subscribe(receiver: Receiver) -> Subscribe:
    def make(**fields: Any) -> Subscription:
        return Subscription.objects.create(**{"name": "hook", "url": receiver.url} | fields)

    return make


def tell(at: datetime | None = None) -> None:
    """Send what is due, as the worker does."""
    pipeline.notify(worker="test:1", at=at or timezone.now())
