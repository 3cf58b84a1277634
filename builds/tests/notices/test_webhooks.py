"""Webhooks at a real receiver: signed, in order, at least once, and sent again."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from builds import pipeline, webhook
from builds.choices import DeliveryStatus
from builds.models import Attempt, Delivery, Event, LeaseLost
from builds.models.delivery import BACK_OFF, MOST_ATTEMPTS
from builds.models.subscription import OLD_SECRET_SIGNS_FOR
from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.notices.conftest import Subscribe, tell
from builds.tests.notices.receiver import Receiver, status

pytestmark = pytest.mark.django_db


def events(count: int) -> None:
    """So many things happen: published, withdrawn, published …"""
    of = ChannelFactory()
    at = timezone.now() - timedelta(minutes=1)
    for _ in range(count):
        ReleaseFactory(channel=of, published=True, at=at)


def sequences(receiver: Receiver) -> list[int]:
    return [request.payload["sequence"] for request in receiver.requests]


def test_independent_library_verifies_what_was_sent(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    subscription = subscribe()
    events(1)
    tell()

    [request] = receiver.requests
    payload = Webhook(subscription.secret).verify(request.body, dict(request.headers))
    event = Event.objects.get()
    assert payload == event.payload
    assert request.id == str(event.uid) == payload["id"]
    assert request.path == "/hook?a=b"
    assert request.headers["Content-Type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(subscription.secret).verify(request.body + b" ", dict(request.headers))


def test_signature_is_that_of_the_published_example() -> None:
    """The example of the Standard Webhooks specification and its libraries' tests."""
    headers = webhook.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        at=datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_old_secret_signs_for_a_day_beside_the_new_one(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    subscription = subscribe()
    old = subscription.secret
    now = timezone.now()
    subscription.rotate(at=now)
    events(1)
    tell()
    headers = dict(receiver.requests[0].headers)
    assert subscription.secret != old
    for secret in (old, subscription.secret):
        assert Webhook(secret).verify(receiver.requests[0].body, headers)
    later = now + OLD_SECRET_SIGNS_FOR + timedelta(seconds=1)
    assert subscription.secrets_at(later) == [subscription.secret]


def test_order_is_kept_while_the_receiver_fails(receiver: Receiver, subscribe: Subscribe) -> None:
    subscribe()
    events(3)
    receiver.answers.extend([200, 500, 503])
    now = timezone.now()

    tell(now)
    assert sequences(receiver) == [1, 2], "the third waits for the second"
    tell(now + BACK_OFF[0] - timedelta(seconds=1))
    assert sequences(receiver) == [1, 2], "not before its time"
    tell(now + BACK_OFF[0])
    tell(now + BACK_OFF[0] + BACK_OFF[1])

    assert sequences(receiver) == [1, 2, 2, 2, 3]
    assert len({request.id for request in receiver.requests}) == 3, "the same id each time"
    log = Attempt.objects.filter(delivery__event__sequence=2)
    assert [attempt.response_code for attempt in log] == [500, 503, 204]
    assert [bool(attempt.error) for attempt in log] == [True, True, False]


def test_one_receiver_that_fails_holds_back_no_other(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    subscribe(name="deaf", url="http://127.0.0.1:1/")
    subscribe(name="hears")
    events(3)
    tell()
    assert sequences(receiver) == [1, 2, 3]
    assert Delivery.objects.waiting().count() == 3


def test_delivery_is_given_up_after_its_attempts_and_the_next_goes_on(
    receiver: Receiver, subscribe: Subscribe, caplog: pytest.LogCaptureFixture
) -> None:
    subscribe()
    events(2)
    receiver.answers.extend([500] * MOST_ATTEMPTS)
    at = timezone.now()
    with caplog.at_level(logging.ERROR):
        for pause in (timedelta(0), *BACK_OFF):
            at += pause
            tell(at)

    assert sequences(receiver) == [1] * MOST_ATTEMPTS + [2]
    first = Delivery.objects.get(event__sequence=1)
    assert first.status == DeliveryStatus.GIVEN_UP
    assert first.finished_at == at
    assert first.attempts.count() == MOST_ATTEMPTS


def test_admin_has_it_sent_again_out_of_the_line(receiver: Receiver, subscribe: Subscribe) -> None:
    subscribe()
    events(3)
    tell()
    first = Delivery.objects.get(event__sequence=1)
    receiver.answers.append(500)
    events(1)

    first.send_again(at=timezone.now())
    tell()
    assert sequences(receiver) == [1, 2, 3, 1, 4], "a failing redelivery holds nobody back"
    first.send_again(at=timezone.now())
    tell()

    assert sequences(receiver) == [1, 2, 3, 1, 4, 1]
    first.refresh_from_db()
    assert first.status == DeliveryStatus.DELIVERED
    assert receiver.requests[0].id == receiver.requests[-1].id


def test_ping_goes_to_one_subscriber_whatever_it_wants(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    subscription = subscribe(kinds=["failed"])
    subscribe(name="another")
    Event.objects.ping(subscription, at=timezone.now())
    tell()
    [request] = receiver.requests
    assert request.payload["kind"] == "ping"
    assert request.payload["channel"] is None
    Webhook(subscription.secret).verify(request.body, dict(request.headers))


def test_redirect_is_not_followed(receiver: Receiver, subscribe: Subscribe) -> None:
    subscribe()
    events(1)
    receiver.answers.append(status(302, Location=receiver.url))
    tell()
    assert len(receiver.requests) == 1
    attempt = Attempt.objects.get()
    assert (attempt.response_code, attempt.error) == (
        302,
        "It answered 302; redirects are not followed.",
    )


def test_inactive_subscription_keeps_what_waits_until_it_is_active_again(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    subscription = subscribe()
    events(1)
    subscription.is_active = False
    subscription.save()
    tell()
    assert not receiver.requests
    subscription.is_active = True
    subscription.save()
    tell()
    assert len(receiver.requests) == 1


def test_sender_that_wakes_up_late_writes_nothing(subscribe: Subscribe) -> None:
    subscribe()
    events(1)
    now = timezone.now()
    late = Delivery.objects.get()
    assert late.start("paused", at=now)
    assert not Delivery.objects.get().start("other", at=now)
    Delivery.objects.update(lease_until=now - timedelta(minutes=5))
    assert Delivery.objects.get().start("other", at=now)
    with pytest.raises(LeaseLost):
        late.succeed(at=now, seconds=1)
    assert Delivery.objects.get().status == DeliveryStatus.WAITING
    assert not Attempt.objects.exists()


def test_second_attempt_is_not_left_to_the_minutely_tick(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    subscribe()
    events(1)
    now = timezone.now()
    assert pipeline.seconds_to_next(at=now) is None, "it is due already"
    receiver.answers.extend([500, 500])
    tell(now)
    assert pipeline.seconds_to_next(at=now) == 10
    tell(now + BACK_OFF[0])
    assert pipeline.seconds_to_next(at=now) is None, "a minute is the tick's business"


def test_delivery_whose_senders_all_died_is_given_up(
    receiver: Receiver, subscribe: Subscribe
) -> None:
    subscribe()
    events(2)
    now = timezone.now()
    for _ in range(MOST_ATTEMPTS):
        assert Delivery.objects.get(event__sequence=1).start("dies", at=now)
        Delivery.objects.filter(event__sequence=1).update(lease_until=now - timedelta(minutes=5))
    tell()
    assert sequences(receiver) == [2]
    first = Delivery.objects.get(event__sequence=1)
    assert first.status == DeliveryStatus.GIVEN_UP
    assert first.attempts.get().error == "No sender has lived to the end of it."
