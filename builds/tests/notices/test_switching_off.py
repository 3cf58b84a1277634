"""Receivers that want no more or are gone, what staff hear of it, and how long events are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from builds import pipeline
from builds.choices import DeliveryStatus, EventKind
from builds.models import Channel, Delivery, Event, Subscription
from builds.models.delivery import BACK_OFF
from builds.tests.factories import ChannelFactory, UserFactory
from builds.tests.notices.conftest import Subscribe, tell
from builds.tests.notices.receiver import Receiver
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _mail_is_on(settings: LazySettings) -> None:
    settings.MAIL_IS_ON = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def staff() -> Subscription:
    UserFactory(username="ada", is_staff=True, email="ada@example.org")
    return Subscription.objects.ensure_admins()


def fail_all(receiver: Receiver, at: datetime) -> datetime:
    """Let an event be refused seven times; when it was given up."""
    subscription = Subscription.objects.get(name="hook")
    event = Event.objects.ping(subscription, at=at)
    receiver.answers.extend([500] * 7)
    tell(at)
    for pause in BACK_OFF:
        at += pause
        tell(at)
    assert event.deliveries.get().status == DeliveryStatus.GIVEN_UP
    return at


def test_receiver_that_is_gone_is_told_of_nothing_more_and_staff_hear_of_it(
    receiver: Receiver,
    subscribe: Subscribe,
    staff: Subscription,
    mailoutbox: list[object],
    client: Client,
) -> None:
    subscription = subscribe()
    Event.objects.ping(subscription, at=timezone.now())
    Event.objects.ping(subscription, at=timezone.now())
    receiver.answers.append(410)

    tell()

    subscription.refresh_from_db()
    assert not subscription.is_active
    assert len(receiver.requests) == 1
    first = Delivery.objects.filter(subscription=subscription).earliest("event__sequence")
    assert first.status == DeliveryStatus.GIVEN_UP
    [mail] = mailoutbox
    subject = "Webhook switched off: hook: Its receiver answered 410: it wants nothing more."
    assert mail.subject == subject  # type: ignore[attr-defined]
    client.force_login(UserFactory(admin=True))
    page = text_of(client.get("/admin/builds/subscription/"))
    assert "Its receiver answered 410" in page


def test_receiver_that_takes_nothing_for_five_days_is_switched_off(
    receiver: Receiver, subscribe: Subscribe, staff: Subscription, mailoutbox: list[object]
) -> None:
    subscription = subscribe()
    begun = timezone.now()
    fail_all(receiver, begun)
    assert Subscription.objects.reachable().filter(pk=subscription.pk), "one bad night is too few"

    fail_all(receiver, begun + 6 * DAY)

    subscription.refresh_from_db()
    assert not subscription.is_active
    assert f"Nothing was taken since {begun:%Y-%m-%d %H:%M} UTC" in subscription.switched_off_why
    tell(begun + 7 * DAY)
    assert len(mailoutbox) == 1


def test_one_that_was_taken_in_between_starts_the_count_anew(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    subscription = subscribe()
    begun = timezone.now()
    fail_all(receiver, begun)
    Event.objects.ping(subscription, at=begun + 3 * DAY)
    tell(begun + 3 * DAY)

    fail_all(receiver, begun + 6 * DAY)

    subscription.refresh_from_db()
    assert subscription.is_active
    assert subscription.failing_since == begun + 6 * DAY


def test_one_that_is_switched_on_again_gets_what_waited_and_no_note(
    receiver: Receiver, subscribe: Subscribe, client: Client
) -> None:
    subscription = subscribe()
    for _ in range(2):
        Event.objects.ping(subscription, at=timezone.now())
    receiver.answers.append(410)
    tell()
    client.force_login(UserFactory(admin=True))

    values = {"name": "hook", "means": "webhook", "url": receiver.url, "is_active": "on"}
    client.post(f"/admin/builds/subscription/{subscription.pk}/change/", values)
    tell()

    subscription.refresh_from_db()
    assert (subscription.is_active, subscription.switched_off_why) == (True, "")
    assert subscription.failing_since is None
    assert [request.payload["sequence"] for request in receiver.requests] == [1, 2]


def test_other_subscribers_do_not_hear_of_one_that_is_switched_off(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    gone, other = subscribe(), subscribe(name="other")
    Event.objects.ping(gone, at=timezone.now())
    receiver.answers.append(410)
    tell()
    assert Event.objects.latest("sequence").kind == EventKind.SWITCHED_OFF
    assert not Delivery.objects.filter(subscription=other).exists()


def forget(at: datetime) -> list[str]:
    return [str(done) for done in pipeline.collect(at=at) if str(done).startswith("forget")]


def test_old_events_are_forgotten_with_their_deliveries_but_none_that_is_awaited(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    now = timezone.now()
    taken, waiting, off = subscribe(), subscribe(name="slow"), subscribe(name="off")
    Event.objects.ping(taken, at=now)
    tell(now)
    awaited = Event.objects.ping(waiting, at=now)
    Event.objects.ping(off, at=now)
    Subscription.objects.filter(pk=off.pk).update(is_active=False)
    newest = Event.objects.ping(taken, at=now)
    assert forget(now + 365 * DAY) == []

    [said] = forget(now + 366 * DAY)

    assert "2 events and their deliveries" in said
    assert set(Event.objects.all()) == {awaited, newest}
    assert Event.objects.ping(taken, at=now).sequence == newest.sequence + 1


def test_staleness_that_was_told_is_remembered_for_as_long_as_it_lasts() -> None:
    channel: Channel = ChannelFactory()
    begun = channel.created_at
    stale = pipeline.find_stale(at=begun + 10 * DAY)
    Event.objects.ping(Subscription.objects.create(name="hook", url="https://x"), at=begun)

    forget(begun + 400 * DAY)

    assert set(stale) <= set(Event.objects.all())
    assert pipeline.find_stale(at=begun + 401 * DAY) == []
