"""E-mail through a real SMTP server: who gets it, what it says, and what comes of failures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.conf import LazySettings
from django.utils import timezone

from builds import pipeline
from builds.choices import DeliveryStatus, Means
from builds.models import Channel, Delivery, Event, Subscription
from builds.models.delivery import BACK_OFF
from builds.tests.factories import NOW, ChannelFactory, ReleaseFactory, UserFactory
from builds.tests.notices.conftest import tell
from builds.tests.ports import free_port

pytestmark = pytest.mark.django_db


class Mailbox:
    """Keeps what a mail server takes; `refusals` are answered first."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refusals: list[str] = []

    async def handle_DATA(  # noqa: N802 - as aiosmtpd calls it
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"


@pytest.fixture
def mailbox(settings: LazySettings) -> Iterator[Mailbox]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.MAIL_IS_ON = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = controller.hostname, controller.port
    settings.DEFAULT_FROM_EMAIL = "Images <portal@images.example.org>"
    settings.PORTAL_URL = "https://images.example.org"
    try:
        yield box
    finally:
        controller.stop()


@pytest.fixture
def admins() -> Subscription:
    staff: dict[str, dict[str, Any]] = {
        "ada": {"email": "ada@example.org"},
        "bob": {"email": "bob@example.org"},
        "left": {"email": "left@example.org", "is_active": False},
        "none": {},
    }
    for name, fields in staff.items():
        UserFactory(username=name, is_staff=True, **fields)
    UserFactory(email="no-staff@example.org")
    return Subscription.objects.ensure_admins()


def test_failure_reaches_active_staff_with_a_subject_that_says_it_all(
    mailbox: Mailbox, admins: Subscription
) -> None:
    ReleaseFactory(
        channel=ChannelFactory(name="nixos-unstable"),
        failed=True,
        reason="The check boot-netboot-bios failed: Kernel panic <0>\n& more",
        excerpt='VFS: Unable to mount root fs on "unknown-block(0,0)"',
    )
    tell()

    [mail] = mailbox.mails
    assert mail["Subject"] == (
        "nixos-unstable x86_64-linux failed: The check boot-netboot-bios failed: Kernel panic <0>"
    )
    assert mailbox.recipients == [["ada@example.org", "bob@example.org"]]
    assert mail["From"] == "Images <portal@images.example.org>"
    assert mail["Message-ID"] == f"<{Event.objects.get().uid}.{admins.pk}@images.example.org>"
    text = mail.get_content().replace("\r\n", "\n")
    assert 'VFS: Unable to mount root fs on "unknown-block(0,0)"' in text
    assert "Kernel panic <0>\n& more" in text
    assert "Page: https://images.example.org/releases/nixos-unstable/" in text
    assert mail.get_content_type() == "text/plain"


def test_each_kind_has_its_subject(mailbox: Mailbox, admins: Subscription) -> None:
    of = ChannelFactory(name="demo", systems=["x86_64-linux"])
    ReleaseFactory(channel=of, failed=True, reason="no network")
    release = ReleaseFactory(channel=of, published=True, version="26.05.1")
    Channel.objects.update(created_at=NOW - timedelta(days=30))
    pipeline.find_stale(at=NOW + timedelta(days=10))
    release.withdraw("does not boot", at=NOW)
    Event.objects.ping(admins, at=NOW)
    tell(NOW + timedelta(days=11))

    assert [mail["Subject"] for mail in mailbox.mails] == [
        "demo x86_64-linux failed: no network",
        "demo x86_64-linux recovered: 26.05.1",
        "demo x86_64-linux published: 26.05.1",
        "demo x86_64-linux is stale: No release for 12 days.",
        "demo x86_64-linux withdrawn: 26.05.1: does not boot",
        "Test of the NixOS images portal",
    ]
    for mail in mailbox.mails:
        text = mail.get_content()
        assert "{" not in text
        assert "&#x" not in text
        assert "None" not in text


def test_mail_that_is_refused_comes_later_with_the_same_id(
    mailbox: Mailbox, admins: Subscription
) -> None:
    ReleaseFactory(published=True)
    mailbox.refusals.append("451 try later")
    now = timezone.now()
    tell(now)
    [attempt] = Delivery.objects.get().attempts.all()
    assert "451" in attempt.error
    assert not mailbox.mails
    tell(now + BACK_OFF[0])
    assert len(mailbox.mails) == 1
    assert Delivery.objects.get().status == DeliveryStatus.DELIVERED


def test_mail_server_that_is_away_is_a_failed_attempt(
    settings: LazySettings, mailbox: Mailbox, admins: Subscription
) -> None:
    ReleaseFactory(published=True)
    settings.EMAIL_PORT = 1
    tell()
    delivery = Delivery.objects.get()
    assert delivery.status == DeliveryStatus.WAITING
    assert "refused" in delivery.attempts.get().error


def test_one_address_gets_its_own_mail(mailbox: Mailbox) -> None:
    Subscription.objects.create(name="list", means=Means.MAIL, address="images@example.org")
    ReleaseFactory(published=True)
    tell()
    assert mailbox.recipients == [["images@example.org"]]


def test_very_long_reason_makes_no_endless_subject(mailbox: Mailbox, admins: Subscription) -> None:
    ReleaseFactory(failed=True, reason="xyz " * 300)
    tell()
    subject = mailbox.mails[0]["Subject"].strip()  # the parser leaves the fold's space in
    assert len(subject) == 150
    assert subject.endswith("…")


def test_mail_to_nobody_is_not_called_delivered(mailbox: Mailbox) -> None:
    UserFactory(admin=True)
    Subscription.objects.ensure_admins()
    ReleaseFactory(published=True)
    tell()
    delivery = Delivery.objects.get()
    assert delivery.status == DeliveryStatus.WAITING
    assert delivery.attempts.get().error == "No active staff account has an e-mail address."


def test_event_that_can_not_be_written_out_holds_up_no_other(
    mailbox: Mailbox, admins: Subscription
) -> None:
    Subscription.objects.create(name="list", means=Means.MAIL, address="images@example.org")
    Event.objects.ping(admins, at=NOW)
    Event.objects.update(payload={})
    ReleaseFactory(published=True)
    tell()
    assert mailbox.recipients == [["images@example.org"]]
    broken = Delivery.objects.get(event__kind="ping")
    assert broken.attempts.get().error == "The portal's own fault: KeyError('reason')"
