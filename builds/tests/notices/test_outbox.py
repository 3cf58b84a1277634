"""Events: there exactly where the change itself is, in order, each staleness once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.conf import LazySettings
from django.db import transaction

from builds import pipeline
from builds.choices import EventKind, Means, ReleaseStatus, System
from builds.models import Channel, Delivery, Event, Release, Subscription
from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.models.rows import NOW, channel, draft, published
from builds.tests.notices.conftest import Subscribe

pytestmark = pytest.mark.django_db


def kinds() -> list[str]:
    return list(Event.objects.order_by("sequence").values_list("kind", flat=True))


def numbers() -> list[int]:
    return list(Event.objects.order_by("sequence").values_list("sequence", flat=True))


def test_failed_then_recovered_then_published_and_withdrawn() -> None:
    of = ChannelFactory()
    ReleaseFactory(channel=of, published=True)
    ReleaseFactory(channel=of, failed=True)
    ReleaseFactory(channel=of, failed=True)
    ReleaseFactory(channel=of, cancelled=True)
    ReleaseFactory(channel=of, published=True)
    last = ReleaseFactory(channel=of, published=True)
    last.withdraw("it does not boot", at=NOW)

    assert kinds() == [
        "published",
        "failed",
        "failed",
        "recovered",
        "published",
        "published",
        "withdrawn",
    ]
    assert numbers() == list(range(1, 8))


def test_failure_of_one_system_is_not_the_recovery_of_another() -> None:
    of = ChannelFactory()
    ReleaseFactory(channel=of, failed=True, system=System.AARCH64)
    ReleaseFactory(channel=of, published=True, system=System.X86_64)
    assert kinds() == ["failed", "published"]


def test_change_that_was_made_before_is_told_once() -> None:
    release = published(channel(), "1")
    late = Release.objects.get(pk=release.pk)
    assert not late.publish(at=NOW)
    assert not late.fail("too late", at=NOW)
    assert late.withdraw("bad", at=NOW)
    assert not late.withdraw("bad", at=NOW)
    assert kinds() == ["published", "withdrawn"]


def test_event_goes_where_the_change_goes_when_a_transaction_is_undone(
    subscribe: Subscribe,
) -> None:
    subscribe()
    of = draft(channel())
    with transaction.atomic():
        assert of.fail("a power cut comes", at=NOW)
        assert Event.objects.count() == Delivery.objects.count() == 1
        transaction.set_rollback(True)
    of.refresh_from_db()
    assert of.status == ReleaseStatus.DRAFT
    assert not Event.objects.exists()
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("verb", ["publish", "fail", "withdraw"])
def test_change_that_can_not_be_told_is_not_made(verb: str, subscribe: Subscribe) -> None:
    """Without the outbox row there is no change: the next attempt does both."""
    of = channel()
    release = published(of, "1") if verb == "withdraw" else draft(of, version="2", sequence=2)
    before = release.status
    subscribe(kinds=5)  # nothing that one could look into
    reason = [] if verb == "publish" else ["reason"]
    with pytest.raises(TypeError):
        getattr(release, verb)(*reason, at=NOW)
    release.refresh_from_db()
    assert release.status == before
    assert release.heads.exists() == (verb == "withdraw")


def test_payload_stays_what_it_was_when_the_release_changes() -> None:
    release = published(channel(), "26.05.1", revision="a" * 40)
    release.withdraw("bad", at=NOW + timedelta(hours=1))
    first, second = Event.objects.order_by("sequence")
    assert first.payload == {
        "id": str(first.uid),
        "sequence": 1,
        "kind": "published",
        "at": "2026-11-22T03:12:09Z",
        "channel": "demo",
        "system": "x86_64-linux",
        "version": "26.05.1",
        "revision": "a" * 40,
        "release_url": "/releases/demo/26.05.1/x86_64-linux/",
        "since": None,
        "reason": "",
        "excerpt": "",
    }
    assert second.payload["reason"] == "bad"
    assert second.payload.keys() == first.payload.keys()


def test_release_url_names_the_portal_where_that_is_known(settings: LazySettings) -> None:
    settings.PORTAL_URL = "https://images.example.org"
    release = published(channel(), "1")
    [event] = Event.objects.all()
    assert event.payload["release_url"] == f"{settings.PORTAL_URL}{release.get_absolute_url()}"


def test_event_waits_for_those_who_want_its_kind_and_channel(subscribe: Subscribe) -> None:
    demo, other = ChannelFactory(name="demo"), ChannelFactory(name="other")
    subscribe(name="all")
    subscribe(name="failures", kinds=[EventKind.FAILED])
    subscribe(name="demo").channels.add(demo)
    subscribe(name="other").channels.add(other)
    subscribe(name="off", is_active=False)
    subscribe(name="mail", means=Means.MAIL, url="", address="a@example.org")

    ReleaseFactory(channel=demo, published=True)

    told = Delivery.objects.values_list("subscription__name", flat=True)
    assert set(told) == {"all", "demo"}, "and no e-mail where none can be sent"


def test_staff_are_told_by_mail_where_mail_is_on(settings: LazySettings) -> None:
    settings.MAIL_IS_ON = True
    row = Subscription.objects.ensure_admins()
    assert Subscription.objects.ensure_admins() == row
    published(channel(), "1")
    assert Delivery.objects.get().subscription == row


STALE = timedelta(days=9, seconds=1)


@pytest.fixture
def aged() -> Channel:
    """A channel of two systems whose one release is 9 days old; the other never had one."""
    of: Channel = ChannelFactory(name="demo")
    Channel.objects.update(created_at=NOW - timedelta(days=2))
    ReleaseFactory(channel=of, published=True, at=NOW - STALE, version="26.05.1")
    Event.objects.all().delete()
    return of


def test_stale_channel_is_told_once_until_it_is_stale_again(aged: Channel) -> None:
    assert not pipeline.find_stale(at=NOW - timedelta(seconds=1))
    [event] = pipeline.find_stale(at=NOW)
    assert not pipeline.find_stale(at=NOW)
    assert not pipeline.find_stale(at=NOW + timedelta(days=3))
    assert (event.payload["system"], event.payload["version"]) == ("x86_64-linux", "26.05.1")
    assert event.payload["since"] == f"{NOW - STALE:%Y-%m-%dT%H:%M:%SZ}"
    assert event.payload["reason"] == "No release for 9 days."

    ReleaseFactory(channel=aged, published=True, at=NOW + timedelta(days=4))
    assert len(pipeline.find_stale(at=NOW + timedelta(days=14))) == 2, "and the other system"


def test_two_who_find_the_same_staleness_tell_it_once(aged: Channel) -> None:
    since = NOW - STALE
    first = Event.objects.record_stale(aged, System.X86_64, since, None, at=NOW)
    assert first is not None
    assert Event.objects.record_stale(aged, System.X86_64, since, None, at=NOW) is None
    assert Event.objects.count() == 1


@pytest.mark.parametrize("how", ["inactive", "end of life", "looked at"])
def test_channel_that_is_meant_to_rest_is_not_stale(aged: Channel, how: str) -> None:
    match how:
        case "inactive":
            Channel.objects.update(is_active=False)
        case "end of life":
            Channel.objects.update(end_of_life=date(2026, 11, 1))
        case "looked at":
            ReleaseFactory(channel=aged, skipped=True, at=NOW - timedelta(days=2))
    assert not pipeline.find_stale(at=NOW)


def test_target_of_staleness_is_a_setting(aged: Channel, settings: LazySettings) -> None:
    settings.STALE_AFTER_DAYS = 10
    assert not pipeline.find_stale(at=NOW)
