"""A thread that sends a large file holds no connection to the database meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client

from builds.downloads import responses
from builds.storage import artifacts
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import artifact, channel, published

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path() -> Iterator[str]:
    """Where a file of 10 KiB is."""
    data = os.urandom(10_240)
    row = artifact(published(channel("letting-go"), "26.05.1"), size=len(data))
    artifacts().write_once(row.key, data)
    yield f"/{row.key}"
    artifacts().delete(row.key)


@pytest.mark.parametrize(("long", "is_held"), [(10_239, False), (10_240, True)])
def test_only_a_long_download_gives_its_connection_back(
    path: str, client: Client, monkeypatch: pytest.MonkeyPatch, *, long: int, is_held: bool
) -> None:
    monkeypatch.setattr(responses, "LONG", long)
    closed: list[bool] = []
    close = connection.close

    def note() -> None:
        closed.append(True)
        close()

    monkeypatch.setattr(connection, "close", note)

    answer = client.get(path)

    assert bool(closed) is not is_held
    assert len(body(answer)) == 10_240
