"""Telling those outside: what is due is sent, in order, and stale channels are found."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from http import HTTPStatus

from django.conf import settings
from django.db import transaction

from builds import webhook
from builds.choices import Means
from builds.models import Channel, Delivery, Event, LeaseLost, Release
from builds.models.delivery import MOST_ATTEMPTS
from builds.pipeline.mail import NoRecipient, send_mail

logger = logging.getLogger(__name__)

# One round ends after this many seconds: the next tick goes on with what is left.
ROUND = 40.0
# A second attempt that comes after 10 s is not left to the minutely tick; later ones are.
TICK = 30.0


class NotTaken(Exception):
    """The receiver has not taken it; the text says what it said. `code` is the HTTP status."""

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


def notify(*, worker: str, at: datetime) -> None:
    """Send what is due, each subscriber's events one after the other."""
    started = time.monotonic()
    while due := list(Delivery.objects.sendable(at)):
        for delivery in due:
            if time.monotonic() - started > ROUND:
                return
            if delivery.start(worker, at=at):
                send(delivery, at=at)


def seconds_to_next(*, at: datetime) -> float | None:
    """In how many seconds something is due, where that is sooner than the tick sees to it."""
    due = Delivery.objects.next_due()
    seconds = (due - at).total_seconds() if due else TICK
    return seconds if 0 < seconds < TICK else None


def send(delivery: Delivery, *, at: datetime) -> None:
    """Try a delivery that was taken, and note what came of it."""
    started = time.monotonic()
    code, error = None, ""
    try:
        code = _transmit(delivery, at)
    except NotTaken as said:
        code, error = said.code, str(said)
    except (webhook.Refused, webhook.Unreachable, OSError) as said:
        error = str(said) or type(said).__name__
    except Exception as unforeseen:  # one that can't be sent must not hold up all the others
        logger.exception("%s", delivery)
        error = f"The portal's own fault: {unforeseen!r}"
    _note(delivery, error, at=at, code=code, seconds=round(time.monotonic() - started, 3))


def find_stale(*, at: datetime) -> list[Event]:
    """Note each channel and system whose last good news is too old; each staleness once."""
    found = []
    for channel in Channel.objects.active().prefetch_related("targets"):
        if channel.has_ended(at.date()):
            continue
        for system in channel.systems():
            event = _stale(channel, system, at)
            if event is not None:
                logger.warning("%s", event)
                found.append(event)
    return found


def _stale(channel: Channel, system: str, at: datetime) -> Event | None:
    since = Release.objects.last_good_news(channel, system) or channel.created_at
    if at - since <= timedelta(days=settings.STALE_AFTER_DAYS):
        return None
    if Event.objects.stale_since(channel, system, since).exists():
        return None
    last = Release.objects.of(channel, system).published().first()
    return Event.objects.record_stale(channel, system, since, last, at=at)


def _look_after(delivery: Delivery, error: str, *, at: datetime, is_gone: bool) -> None:
    """Switch a webhook off that wants no more, or takes nothing for days; staff are told.

    As Standard Webhooks has it. One failure is not enough: a whole delivery was given up.
    """
    subscription = delivery.subscription
    subscription.note_refused(at=at)
    if subscription.means != Means.WEBHOOK:
        return
    why = ""
    if is_gone:
        why = "Its receiver answered 410: it wants nothing more."
    elif delivery.is_given_up and subscription.has_failed_for_long(at):
        why = f"Nothing was taken since {subscription.failing_since:%Y-%m-%d %H:%M} UTC: {error}"
    with transaction.atomic():
        if why and subscription.switch_off(why, at=at):
            logger.warning("%s is switched off: %s", subscription, why)
            Event.objects.record_switched_off(subscription, why, at=at)


def _transmit(delivery: Delivery, at: datetime) -> int | None:
    """Hand one event over; the HTTP status where there is one."""
    if delivery.attempts_made > MOST_ATTEMPTS:
        raise NotTaken("No sender has lived to the end of it.")
    event, subscription = delivery.event, delivery.subscription
    if subscription.means == Means.MAIL:
        if not settings.MAIL_IS_ON:
            raise NotTaken("E-mail is off: EMAIL_URL is not set.")
        try:
            send_mail(event, subscription)
        except NoRecipient as nobody:
            raise NotTaken(str(nobody)) from None
        return None
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "nixos-images-portal",
        **webhook.headers(str(event.uid), event.body, subscription.secrets_at(at), at=at),
    }
    answer = webhook.post(subscription.url, event.body, headers, allowed=settings.WEBHOOK_NETWORKS)
    if not answer.is_good:
        raise NotTaken(_what_it_said(answer), answer.status)
    return answer.status


def _what_it_said(answer: webhook.Answer) -> str:
    if 300 <= answer.status < 400:  # noqa: PLR2004 - as HTTP defines redirects
        return f"It answered {answer.status}; redirects are not followed."
    return f"It answered {answer.status}: {answer.body[:200]}".rstrip(": ")


def _note(
    delivery: Delivery, error: str, *, at: datetime, code: int | None, seconds: float
) -> None:
    try:
        if error:
            logger.warning("%s: %s", delivery, error)
            is_gone = code == HTTPStatus.GONE
            delivery.fail(error, at=at, is_last=is_gone, response_code=code, seconds=seconds)
            _look_after(delivery, error, at=at, is_gone=is_gone)
        else:
            delivery.succeed(at=at, response_code=code, seconds=seconds)
            delivery.subscription.note_taken()
    except LeaseLost as lost:
        logger.warning("sent, perhaps twice: %s", lost)
