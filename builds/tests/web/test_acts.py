"""What staff may do from the pages and in the admin, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from builds.choices import ReleaseStatus, System, Trigger
from builds.models import AuditEntry, Channel, Head, Release
from builds.storage import artifacts, channel_key
from builds.tests.factories import (
    NOW,
    BuildFactory,
    ChannelFactory,
    ReleaseFactory,
    UserFactory,
    finish,
)
from builds.tests.web.reading import text_of
from portal.celery import app as celery_app

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return UserFactory(username="root", admin=True)


@pytest.fixture
def as_admin(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


def test_admin_triggers_a_rebuild_from_the_page_of_a_channel(as_admin: Client, admin: User) -> None:
    channel = ChannelFactory(name="demo")
    assert "Build all now" in text_of(as_admin.get("/channels/demo/"))
    assert "Build demo now for x86_64-linux and" in text_of(as_admin.get("/channels/demo/trigger"))
    response = as_admin.post("/channels/demo/trigger", follow=True)
    drafts = list(Release.objects.drafts())
    assert {draft.system for draft in drafts} == set(System.values)
    for draft in drafts:
        assert draft.channel == channel
        assert draft.trigger == Trigger.ADMIN
        assert draft.triggered_by == admin
        assert draft.forced
    assert "demo is being built for x86_64-linux and aarch64-linux." in text_of(response)


@pytest.mark.django_db(transaction=True)
def test_click_hands_the_plan_of_each_draft_to_the_broker(
    as_admin: Client, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_app.conf, "broker_url", redis_url)
    monkeypatch.setattr(celery_app, "_pool", None)
    monkeypatch.setattr(celery_app.amqp, "_producer_pool", None)
    with celery_app.connection_for_write() as connection:
        redis: Any = connection.default_channel
        redis.client.flushall()
    ChannelFactory(name="demo")
    as_admin.post("/channels/demo/trigger")
    with celery_app.connection_for_read(redis_url) as connection:
        queue = connection.SimpleQueue("default")
        messages = [queue.get(timeout=5) for _ in System]
        for message in messages:
            message.ack()
    assert {message.headers["task"] for message in messages} == {"plan"}
    drafts = {message.payload[0][0] for message in messages}
    assert drafts == set(Release.objects.drafts().values_list("pk", flat=True))


def test_admin_triggers_one_system_and_lands_on_its_draft(as_admin: Client) -> None:
    ChannelFactory(name="demo")
    response = as_admin.post("/channels/demo/trigger", {"system": "aarch64-linux"})
    draft = Release.objects.get()
    assert draft.system == System.AARCH64
    assert response["Location"] == draft.get_absolute_url()
    as_admin.post("/channels/demo/trigger", {"system": "aarch64-linux"})
    assert Release.objects.count() == 1, "a draft in the making is the one that is asked for"


def test_trigger_of_a_system_that_is_not_built_says_so(as_admin: Client) -> None:
    ChannelFactory(name="demo", systems=[System.X86_64])
    response = as_admin.post("/channels/demo/trigger", {"system": "aarch64-linux"}, follow=True)
    assert "demo is not built for aarch64-linux" in text_of(response)
    assert not Release.objects.exists()


def test_trigger_wants_post_and_a_token(admin: User) -> None:
    ChannelFactory(name="demo")
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    assert client.get("/channels/demo/trigger").status_code == 200
    assert not Release.objects.exists(), "looking does nothing"
    assert client.post("/channels/demo/trigger").status_code == 403
    client.get("/")
    token = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    assert client.post("/channels/demo/trigger", token).status_code == 302


def test_visitors_see_no_acts_and_get_no_cookie(client: Client) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    for url in ("/", "/channels/demo/", "/channels/demo/x86_64-linux/"):
        response = client.get(url)
        assert 'class="act"' not in response.content.decode()
        assert "csrf" not in response.content.decode()
        assert not response.cookies


def test_dashboard_offers_staff_a_rebuild_of_each_cell(as_admin: Client) -> None:
    ChannelFactory(name="demo")
    assert text_of(as_admin.get("/")).count("Rebuild now") == 2


def test_admin_action_triggers_selected_channels_and_links_to_the_drafts(as_admin: Client) -> None:
    chosen, left = ChannelFactory(name="demo"), ChannelFactory(name="other")
    response = as_admin.post(
        reverse("admin:builds_channel_changelist"),
        {"action": "trigger_rebuild", "_selected_action": [chosen.pk]},
        follow=True,
    )
    drafts = list(Release.objects.drafts())
    assert [draft.channel for draft in drafts] == [chosen, chosen]
    assert not left.releases.exists()
    for draft in drafts:
        assert f'href="{draft.get_absolute_url()}"' in response.content.decode()


def test_admin_action_wants_the_permission_to_build(client: Client) -> None:
    channel = ChannelFactory()
    user = UserFactory(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_channel"))
    client.force_login(user)
    client.post(
        reverse("admin:builds_channel_changelist"),
        {"action": "trigger_rebuild", "_selected_action": [channel.pk]},
    )
    assert not Release.objects.exists()


def test_withdrawing_wants_a_reason_and_rewrites_what_moves(as_admin: Client) -> None:
    channel = ChannelFactory(name="demo")
    old = ReleaseFactory(channel=channel, published=True, stored=True)
    bad = ReleaseFactory(channel=channel, published=True, stored=True)
    url = reverse("release-withdraw", args=[bad.pk])
    assert "Everybody can read it" in text_of(as_admin.get(url))
    as_admin.post(url, {"reason": "  "})
    bad.refresh_from_db()
    assert bad.is_published
    response = as_admin.post(url, {"reason": "It does not boot."}, follow=True)
    assert "It does not boot." in text_of(response)
    bad.refresh_from_db()
    assert bad.status == ReleaseStatus.WITHDRAWN
    assert Head.objects.get().release == old
    moving = artifacts().read(channel_key("demo", "latest-x86_64-linux.json"))
    assert moving is not None
    assert old.version.encode() in moving


def test_withdrawing_twice_does_it_once(as_admin: Client) -> None:
    bad = ReleaseFactory(published=True)
    url = reverse("release-withdraw", args=[bad.pk])
    as_admin.post(url, {"reason": "first"})
    response = as_admin.post(url, {"reason": "second"}, follow=True)
    assert "nothing was done" in text_of(response)
    assert AuditEntry.objects.filter(act="withdraw").count() == 1
    bad.refresh_from_db()
    assert bad.reason == "first"


def test_cancelling_a_draft_stops_its_builds(as_admin: Client) -> None:
    draft = ReleaseFactory(pinned=True, queue=False)
    running = BuildFactory(release=draft, running=True)
    waiting = BuildFactory(release=draft, variant="kexec-installer")
    url = reverse("release-cancel", args=[draft.pk])
    as_admin.post(url, {"reason": "Not today."})
    for row in (draft, running, waiting):
        row.refresh_from_db()
    assert draft.status == ReleaseStatus.CANCELLED
    assert draft.reason == "Not today."
    assert waiting.status == "cancelled"
    assert running.cancel_requested_at is not None


def test_action_on_a_list_leads_to_the_page_that_asks(as_admin: Client) -> None:
    release = ReleaseFactory(published=True)
    other = ReleaseFactory(published=True)
    url = reverse("admin:builds_release_changelist")
    one = {"action": "release-withdraw", "_selected_action": [release.pk]}
    response = as_admin.post(url, one)
    assert response["Location"].endswith(f"/{release.pk}/withdraw")
    both = {"action": "release-withdraw", "_selected_action": [release.pk, other.pk]}
    assert "Choose just one" in text_of(as_admin.post(url, both, follow=True))


def test_admin_retries_all_that_are_selected_and_hears_what_could_not_be(as_admin: Client) -> None:
    failed, published = ReleaseFactory(failed=True), ReleaseFactory(published=True)
    chosen = {"action": "release-retry", "_selected_action": [failed.pk, published.pk]}
    said = text_of(as_admin.post(reverse("admin:builds_release_changelist"), chosen, follow=True))
    assert f"What failed of {failed} is tried again." in said
    assert "is published: there is nothing to retry." in said
    failed.refresh_from_db()
    assert failed.is_draft


def test_page_that_asks_says_what_becomes_the_latest(as_admin: Client) -> None:
    channel = ChannelFactory(name="demo")
    old = ReleaseFactory(channel=channel, published=True)
    new = ReleaseFactory(channel=channel, published=True)
    asks = text_of(as_admin.get(reverse("release-withdraw", args=[new.pk])))
    assert f"The latest of demo for x86_64-linux becomes {old.version} again." in asks
    assert "answer 410" in asks
    asks = text_of(as_admin.get(reverse("release-withdraw", args=[old.pk])))
    assert f"The latest of demo for x86_64-linux stays {new.version}." in asks
    asks = text_of(as_admin.get(reverse("release-rollback", args=[old.pk])))
    assert f"{new.version}, the latest now, stays published" in asks
    old.withdraw("x", at=NOW)
    asks = text_of(as_admin.get(reverse("release-withdraw", args=[new.pk])))
    assert "none is left to download" in asks


def test_act_that_can_not_be_done_now_says_why(as_admin: Client) -> None:
    release = ReleaseFactory(published=True)
    page = text_of(as_admin.get(release.get_absolute_url()))
    for reason in (
        f"{release} is the latest already.",
        f"{release} is published: there is nothing to cancel.",
        f"{release} is published; only a finished draft can be published.",
        f"{release} is not kept for good.",
    ):
        assert reason in page
    response = as_admin.get(reverse("release-rollback", args=[release.pk]))
    assert response.status_code == 409
    assert "is the latest already" in text_of(response)
    assert "<textarea" not in response.content.decode()


def test_rolling_back_moves_the_head_and_back_again(as_admin: Client) -> None:
    channel = ChannelFactory(name="demo")
    old = ReleaseFactory(channel=channel, published=True, stored=True)
    ReleaseFactory(channel=channel, published=True, stored=True)
    url = reverse("release-rollback", args=[old.pk])
    assert "This field is required" in text_of(as_admin.post(url, {"reason": " "}))
    said = text_of(as_admin.post(url, {"reason": "The new one hangs."}, follow=True))
    assert f"{old} is the latest again." in said
    assert Head.objects.get().release == old
    assert AuditEntry.objects.newest_first()[0].reason == "The new one hangs."


def test_finished_draft_is_published_by_hand(as_admin: Client) -> None:
    draft = ReleaseFactory(pinned=True)
    url = reverse("release-publish", args=[draft.pk])
    assert "it waits for netboot" in text_of(as_admin.get(url))
    finish(draft, NOW)
    said = text_of(as_admin.post(url, follow=True))
    assert f"{draft} is published." in said
    assert AuditEntry.objects.get().who == "root"


def test_keeping_for_good_and_letting_go_again(as_admin: Client) -> None:
    release = ReleaseFactory(published=True, stored=True)
    as_admin.post(reverse("release-keep", args=[release.pk]), {"reason": "A customer boots it."})
    assert Release.objects.get().kept_by == User.objects.get(username="root")
    as_admin.post(reverse("release-unkeep", args=[release.pk]))
    assert not Release.objects.get().is_kept


@pytest.mark.parametrize("model", ["release", "build", "artifact", "check", "head"])
def test_what_the_portal_made_is_read_only_in_the_admin(as_admin: Client, model: str) -> None:
    release = ReleaseFactory(published=True)
    row = {
        "release": release,
        "build": release.builds.first(),
        "artifact": release.artifacts.first(),
        "check": release.checks.first(),
        "head": release.heads.first(),
    }[model]
    assert as_admin.get(reverse(f"admin:builds_{model}_changelist")).status_code == 200
    page = as_admin.get(reverse(f"admin:builds_{model}_change", args=[row.pk]))
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert as_admin.get(reverse(f"admin:builds_{model}_add")).status_code == 403


def test_channel_with_a_bad_name_is_refused_in_the_admin(as_admin: Client) -> None:
    channel = ChannelFactory(name="demo", systems=())
    form = {
        "name": "latest",
        "title": "x",
        "position": 0,
        "builder": "nix",
        "flake": "path:images",
        "overrides": "{}",
        "checks": "[]",
        "slot_weekday": 6,
        "slot_time": "03:00",
        "keep_last": 12,
        "keep_days": 90,
        "targets-TOTAL_FORMS": 0,
        "targets-INITIAL_FORMS": 0,
    }
    url = reverse("admin:builds_channel_change", args=[channel.pk])
    assert "has a meaning in download URLs" in text_of(as_admin.post(url, form))
    assert as_admin.post(url, form | {"name": "demo-2"}).status_code == 302
    assert Channel.objects.get().name == "demo-2"
