"""What an admin does with subscriptions: makes one, keeps its secret, tests it, sends again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from builds.choices import DeliveryStatus
from builds.models import Delivery, Event, Subscription
from builds.tests.factories import ReleaseFactory, UserFactory
from builds.tests.notices.conftest import Subscribe, tell
from builds.tests.notices.receiver import Receiver
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db
LIST = "/admin/builds/subscription/"


@pytest.fixture
def admin() -> User:
    return UserFactory(username="root", admin=True)


@pytest.fixture
def as_admin(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


def add(client: Client, **fields: Any) -> Any:
    values = {"name": "CI", "means": "webhook", "url": "https://example.org/hook"}
    return client.post(f"{LIST}add/", {**values, "is_active": "on", **fields})


def act(client: Client, name: str, *rows: Subscription | Delivery) -> Any:
    address = reverse(f"admin:builds_{rows[0]._meta.model_name}_changelist")
    chosen = {"action": name, "_selected_action": [row.pk for row in rows]}
    return client.post(address, chosen, follow=True)


def test_secret_is_shown_after_creation_and_never_again(as_admin: Client, admin: User) -> None:
    response = add(as_admin, kinds=["failed", "stale"])
    subscription = Subscription.objects.get()
    assert subscription.secret in text_of(response)
    assert "no-store" in response["Cache-Control"]
    assert subscription.created_by == admin
    assert subscription.kinds == ["failed", "stale"]
    for page in (LIST, f"{LIST}{subscription.pk}/change/", "/admin/"):
        content = as_admin.get(page).content.decode()
        assert "whsec_" not in content
        assert subscription.nonce not in content


def test_database_alone_does_not_hold_the_secret(as_admin: Client, settings: LazySettings) -> None:
    add(as_admin)
    subscription = Subscription.objects.get()
    before = subscription.secret
    settings.SECRET_KEY = "another" * 10
    assert subscription.secret != before


def test_webhook_that_leads_inward_is_refused_on_the_form(as_admin: Client) -> None:
    response = add(as_admin, url="http://169.254.169.254/latest")
    assert "169.254.169.254 is no public address" in text_of(response)
    assert "A webhook needs a URL" in text_of(add(as_admin, url=""))
    assert not Subscription.objects.exists()


def test_new_secret_is_shown_once(as_admin: Client, subscribe: Subscribe) -> None:
    subscription = subscribe()
    before = subscription.secret
    said = text_of(act(as_admin, "rotate", subscription))
    subscription.refresh_from_db()
    assert subscription.secret != before
    assert subscription.secret in said
    assert before not in said


def test_test_event_arrives(as_admin: Client, subscribe: Subscribe, receiver: Receiver) -> None:
    subscription, resting = subscribe(), subscribe(name="resting", is_active=False)
    said = text_of(act(as_admin, "ping", subscription, resting))
    assert "A test is on its way to hook" in said
    assert "Resting is told of nothing" in said
    tell()
    assert receiver.kinds == ["ping"]


def test_delivery_is_read_with_its_attempts_and_sent_again(
    as_admin: Client, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe()
    ReleaseFactory(published=True)
    receiver.answers.append(200)
    tell()
    delivery = Delivery.objects.get()
    page = as_admin.get(f"/admin/builds/delivery/{delivery.pk}/change/")
    assert "200" in text_of(page)
    assert not re.search(r'<input type="submit"[^>]*name="_save"', page.content.decode())

    act(as_admin, "send_again", delivery)
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.WAITING
    tell()
    assert len(receiver.requests) == 2


def test_who_may_only_look_sends_nothing(client: Client, subscribe: Subscribe) -> None:
    reader = UserFactory(is_staff=True)
    looking = ["view_subscription", "view_delivery", "view_event"]
    reader.user_permissions.set(Permission.objects.filter(codename__in=looking))
    client.force_login(reader)
    subscription = subscribe()
    before = subscription.secret
    ReleaseFactory(published=True)
    tell()
    delivery = Delivery.objects.get()

    act(client, "send_again", delivery)
    act(client, "ping", subscription)
    act(client, "rotate", subscription)
    assert add(client).status_code == 403

    delivery.refresh_from_db()
    subscription.refresh_from_db()
    assert delivery.status == DeliveryStatus.DELIVERED
    assert subscription.secret == before
    assert not Event.objects.filter(kind="ping").exists()


def test_admin_says_that_mail_is_off(as_admin: Client, settings: LazySettings) -> None:
    assert "E-mail is off: EMAIL_URL is not set" in text_of(as_admin.get(LIST))
    settings.MAIL_IS_ON = True
    assert "E-mail is off" not in text_of(as_admin.get(LIST))


@pytest.mark.parametrize("model", ["event", "delivery", "subscription"])
def test_lists_open(as_admin: Client, subscribe: Subscribe, model: str) -> None:
    subscription = subscribe()
    ReleaseFactory(published=True)
    Event.objects.ping(subscription, at=timezone.now())
    assert as_admin.get(f"/admin/builds/{model}/").status_code == 200
    rows = {
        "event": Event.objects.values_list("pk"),
        "delivery": Delivery.objects.values_list("pk"),
        "subscription": Subscription.objects.values_list("pk"),
    }
    for (pk,) in rows[model]:
        assert as_admin.get(f"/admin/builds/{model}/{pk}/change/").status_code == 200
