"""Weekly slots: every week has exactly one, whatever the hour."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from random import Random

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from builds import pipeline
from builds.choices import System, Trigger
from builds.models import Channel, Release
from builds.tests.factories import ChannelFactory, UserFactory

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


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


def since(begin: datetime) -> Channel:
    """A channel of one system that is there since a time, with its slot on Sunday at 03:00."""
    channel: Channel = ChannelFactory(systems=[System.X86_64])
    Channel.objects.update(created_at=begin)
    channel.refresh_from_db()
    return channel


def look(at: datetime) -> None:
    """What a tick of the schedule does; the release that comes of it ends within the hour."""
    for release in pipeline.trigger_due(at):
        release.cancel("It came to nothing.", at=at)


@pytest.mark.django_db
def test_ten_years_of_ticks_with_outages_fill_each_slot_that_was_not_slept_through_once() -> None:
    """The schedule looks around each slot and once in between; outages last up to three weeks."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    channel = since(begin)
    random = Random(522)
    slots = [channel.next_slot(begin) + week * WEEK for week in range(522)]
    up_again = begin
    awake = set()
    for slot in slots:
        if random.random() < 0.05:
            up_again = slot + timedelta(hours=random.uniform(1, 500))
        times = [slot - timedelta(minutes=1), slot, slot + timedelta(hours=random.uniform(1, 167))]
        for at in sorted([*times, up_again]):
            if up_again <= at < slot + WEEK:
                look(at)
                if at >= slot:
                    awake.add(slot)

    filled = [release.slot_at for release in channel.releases.order_by("slot_at")]

    assert filled == sorted(awake), "each once, and none of those that nobody was there for"
    assert 450 < len(awake) < 522
    assert {slot.weekday() for slot in awake} == {6}
    assert {(slot.hour, slot.minute) for slot in awake} == {(3, 0)}, "summer or winter"


@pytest.mark.django_db
def test_missed_slot_is_made_up_for_at_start_but_only_the_last_one() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    channel = since(begin)

    look(begin + 5 * WEEK)
    look(begin + 5 * WEEK + timedelta(minutes=1))

    assert channel.releases.get().slot_at == channel.slot_at_or_before(begin + 5 * WEEK)


@pytest.mark.django_db
def test_slot_that_is_moved_in_the_admin_builds_nothing_at_once(client: Client) -> None:
    now = timezone.now()
    channel = since(now - 5 * WEEK)
    look(now)
    client.force_login(UserFactory(admin=True))
    page = client.get(f"/admin/builds/channel/{channel.pk}/change/")
    form = page.context["adminform"].form
    values = {name: value for name, value in form.initial.items() if value is not None}
    yesterday = now - timedelta(days=1)
    moved = {"slot_weekday": yesterday.weekday(), "slot_time": f"{yesterday:%H:%M}"}
    inline = {"targets-TOTAL_FORMS": "0", "targets-INITIAL_FORMS": "0"}
    texts = {"overrides": "{}", "checks": "[]"}

    answer = client.post(page.request["PATH_INFO"], {**values, **texts, **moved, **inline})

    assert answer.status_code == 302, answer.context["errors"]
    channel.refresh_from_db()
    assert channel.slot_weekday == yesterday.weekday()
    look(now + timedelta(minutes=2))
    assert Release.objects.count() == 1, "yesterday's slot was none when yesterday was"
    look(channel.next_slot(now) + timedelta(minutes=2))
    assert Release.objects.count() == 2


@pytest.mark.django_db
def test_draft_that_somebody_asked_for_is_the_release_of_the_slot_that_comes() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    channel = since(begin)
    slot = channel.next_slot(begin)
    [asked] = pipeline.trigger(channel, [System.X86_64], why=Trigger.ADMIN)

    [due] = pipeline.trigger_due(slot)

    asked.refresh_from_db()
    assert (due, asked.slot_at, asked.trigger) == (asked, slot, Trigger.ADMIN)
    asked.cancel("not wanted", at=slot)
    assert pipeline.trigger_due(slot + timedelta(hours=1)) == []
