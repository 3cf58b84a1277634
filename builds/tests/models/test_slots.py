"""Weekly slots: every week has exactly one, whatever the hour."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from builds.models import Channel

WEEK = timedelta(days=7)
INSTANTS = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2040, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
CHANNELS = st.builds(
    Channel,
    slot_weekday=st.integers(0, 6),
    slot_time=st.times().map(lambda t: time(t.hour, t.minute)),
)


@given(CHANNELS, INSTANTS)
def test_slot_lies_in_the_week_before_and_on_its_day(channel: Channel, at: datetime) -> None:
    slot = channel.slot_at_or_before(at)

    assert at - WEEK < slot <= at
    assert slot.weekday() == channel.slot_weekday
    assert (slot.hour, slot.minute) == (channel.slot_time.hour, channel.slot_time.minute)
    assert channel.next_slot(at) - slot == WEEK


def test_ten_years_of_hours_have_one_slot_a_week() -> None:
    channel = Channel(slot_weekday=6, slot_time=time(3, 0))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    hours = 24 * 7 * 522

    slots = {channel.slot_at_or_before(start + timedelta(hours=hour)) for hour in range(hours)}

    assert len(slots) in {522, 523}
    ordered = sorted(slots)
    assert {b - a for a, b in pairwise(ordered)} == {WEEK}
