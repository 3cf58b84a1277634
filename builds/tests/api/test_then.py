"""What was the latest at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds import pipeline
from builds.models import Channel, HeadMove, Release
from builds.models.head_move import derived
from builds.tests.factories import NOW, ChannelFactory, ReleaseFactory

pytestmark = pytest.mark.django_db
PATH = "/api/v1/latest/demo/x86_64-linux/"


def days(count: float) -> timedelta:
    return timedelta(days=count)


def then(client: Client, at: object) -> Any:
    text = at if isinstance(at, str) else f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return client.get(PATH, {"at": text}).json()


@pytest.fixture
def demo() -> Channel:
    made: Channel = ChannelFactory(name="demo")
    return made


@pytest.fixture
def weeks(demo: Channel) -> list[Release]:
    """Three releases, 21, 14 and 7 days old."""
    return [
        ReleaseFactory(
            channel=demo, published=True, version=f"{week}.0", at=NOW - days(28 - 7 * week)
        )
        for week in (1, 2, 3)
    ]


def test_each_time_has_the_release_that_was_the_latest(
    client: Client, weeks: list[Release]
) -> None:
    found = [then(client, NOW - days(age))["version"] for age in (21, 20, 14, 8, 7, 1)]
    assert found == ["1.0", "1.0", "2.0", "2.0", "3.0", "3.0"]
    record = then(client, NOW - days(10))
    assert record["then"]["latest_from"] == "2026-11-08T12:00:00Z"
    assert record["then"]["latest_until"] == "2026-11-15T12:00:00Z"
    assert all(each["url"] == each["immutable_url"] for each in record["artifacts"])
    assert set(record) - {"then"} == set(client.get(PATH).json())


def test_day_means_its_first_moment(client: Client, weeks: list[Release]) -> None:
    assert then(client, "2026-11-15")["version"] == "2.0"
    assert then(client, "2026-11-16")["version"] == "3.0"
    assert then(client, "2026-11-15T14:00:00+02:00")["version"] == "3.0"


def test_release_that_was_taken_back_since_says_so_and_has_no_commands(
    client: Client, weeks: list[Release]
) -> None:
    weeks[2].withdraw("It does not boot.", at=NOW - days(1))
    record = then(client, NOW - days(5))
    assert record["version"] == "3.0"
    assert record["then"]["status"] == "withdrawn"
    assert record["then"]["reason"] == "It does not boot."
    assert record["commands"] == {}
    assert then(client, NOW - timedelta(hours=1))["version"] == "2.0"


def test_rollback_is_told(client: Client, weeks: list[Release]) -> None:
    pipeline.roll_back(weeks[0], "better", by=None, at=NOW - days(2))
    assert then(client, NOW - days(3))["version"] == "3.0"
    assert then(client, NOW - days(1))["version"] == "1.0"


def test_times_without_a_latest_name_the_way_out(client: Client, weeks: list[Release]) -> None:
    early = client.get(PATH, {"at": "2026-01-01"})
    assert early.status_code == 404
    assert "first one at 2026-11-01T12:00:00Z" in early.json()["detail"]
    future = client.get(PATH, {"at": f"{timezone.now() + days(9):%Y-%m-%d}"})
    assert future.status_code == 422
    assert "still to come" in future.json()["detail"]
    for nonsense in ("yesterday", "2026-11-31", "2026-11-15T12:00:00", "0001-01-01T00:00:00+14:00"):
        assert client.get(PATH, {"at": nonsense}).status_code == 422


def test_moves_of_before_follow_from_the_releases(weeks: list[Release], demo: Channel) -> None:
    weeks[2].withdraw("It does not boot.", at=NOW)
    noted = [(move.at, move.release_id) for move in HeadMove.objects.order_by("at", "pk")]
    HeadMove.objects.all().delete()
    HeadMove.objects.derive(demo, "x86_64-linux")
    assert [(m.at, m.release_id) for m in HeadMove.objects.order_by("at", "pk")] == noted


def test_channel_may_be_without_a_latest_for_a_while() -> None:
    first, second = (1, NOW, NOW + days(1)), (2, NOW + days(2), None)
    assert derived([first, second]) == [(NOW, 1), (NOW + days(1), None), (NOW + days(2), 2)]
    rolled = derived([(1, NOW, None), (2, NOW + days(1), None)], [(NOW + days(2), 1)])
    assert rolled[-1] == (NOW + days(2), 1)
