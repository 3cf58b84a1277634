"""Who may do what: every act and every page of staff, by every role."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from builds.choices import Act, Standing
from builds.models import Actor, AuditEntry, Build, Channel, Release, give_standing
from builds.tests.factories import BuildFactory, ChannelFactory, ReleaseFactory, UserFactory
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db

ANYBODY = ("anonymous", "nobody", "viewer", "operator", "admin", "superuser")
OPERATORS = ("operator", "admin", "superuser")
ADMINS = ("admin", "superuser")


def person(who: str) -> User | None:
    if who == "anonymous":
        return None
    if who == "superuser":
        return UserFactory(username=who, admin=True)
    user: User = UserFactory(username=who)
    if who != "nobody":
        give_standing(user, Standing(who), by=Actor("test"), at=timezone.now())
    return User.objects.get(pk=user.pk)


def signed_in(client: Client, who: str) -> Client:
    user = person(who)
    if user is not None:
        client.force_login(user)
    return client


def channel() -> Channel:
    return ChannelFactory(name="demo", systems=["x86_64-linux"])


def failed_build() -> Build:
    return BuildFactory(release=ReleaseFactory(failed=True, queue=False), failed=True)


def published() -> Release:
    return ReleaseFactory(published=True)


def earlier() -> Release:
    release = published()
    ReleaseFactory(channel=release.channel, published=True)
    return release


def finished() -> Release:
    return ReleaseFactory(finished=True)


def kept() -> Release:
    release = published()
    release.keep("dear", by=None, at=timezone.now())
    return release


# The act, its page, a row on which it can be done, and who may.
Case = tuple[Act, str, Callable[[], Channel | Build | Release], tuple[str, ...]]
MATRIX: list[Case] = [
    (Act.TRIGGER, "trigger", channel, OPERATORS),
    (Act.CANCEL, "build-cancel", BuildFactory, OPERATORS),
    (Act.CANCEL, "release-cancel", lambda: ReleaseFactory(pinned=True), OPERATORS),
    (Act.RETRY, "build-retry", failed_build, OPERATORS),
    (Act.RETRY, "release-retry", lambda: ReleaseFactory(failed=True), OPERATORS),
    (Act.KEEP, "release-keep", published, OPERATORS),
    (Act.STOP_KEEPING, "release-unkeep", kept, OPERATORS),
    (Act.PUBLISH, "release-publish", finished, ADMINS),
    (Act.WITHDRAW, "release-withdraw", published, ADMINS),
    (Act.ROLL_BACK, "release-rollback", earlier, ADMINS),
]


@pytest.mark.parametrize("who", ANYBODY)
@pytest.mark.parametrize("case", MATRIX, ids=[case[1] for case in MATRIX])
def test_act_is_done_by_those_who_may_and_by_nobody_else(
    client: Client, case: Case, who: str
) -> None:
    act, name, make, allowed = case
    row = make()
    url = reverse(name, args=[row.name if isinstance(row, Channel) else row.pk])
    signed_in(client, who)
    before = AuditEntry.objects.count()

    page = client.get(row.get_absolute_url())
    asked, done = client.get(url), client.post(url, {"reason": "because"})

    entries = list(AuditEntry.objects.filter(number__gt=before))
    assert (f'href="{url}' in page.content.decode()) == (who in allowed)
    if who in allowed:
        assert (asked.status_code, done.status_code) == (200, 302)
        assert [(entry.act, entry.who) for entry in entries] == [(act, who)]
        return
    assert entries == []
    if who == "anonymous":
        for answer in (asked, done):
            assert answer["Location"] == f"/accounts/login/?next={url}"
    else:
        assert (asked.status_code, done.status_code) == (403, 403)


PAGES = {
    "/audit/": ("viewer", *OPERATORS),
    "/admin/": ("viewer", *OPERATORS),
    "/admin/builds/auditentry/": ("viewer", *OPERATORS),
    "/admin/builds/release/": ("viewer", *OPERATORS),
    "/admin/builds/channel/add/": ADMINS,
    "/admin/builds/subscription/add/": ADMINS,
    "/admin/auth/user/": ADMINS,
    "/admin/auth/user/add/": ADMINS,
    "/admin/auth/group/add/": ("superuser",),
    "/admin/builds/auditentry/add/": (),
}


@pytest.mark.parametrize("who", ANYBODY)
def test_page_of_staff_is_seen_by_those_who_may_and_by_nobody_else(
    client: Client, who: str
) -> None:
    signed_in(client, who)
    for page, allowed in PAGES.items():
        status = client.get(page, follow=True).status_code
        if who == "anonymous":
            assert (
                client.get(page, follow=True).redirect_chain[-1][0].startswith("/accounts/login/")
            )
        else:
            assert status == (200 if who in allowed else 403), f"{who} at {page}"


def test_groups_have_what_the_matrix_says_and_get_it_back() -> None:
    operators = Group.objects.get(name="operator")
    held = {p.codename for p in operators.permissions.exclude(codename__startswith="view_")}
    assert held == {"trigger_release", "cancel_release", "retry_release", "keep_release"}


def test_role_is_one_and_brings_the_admin_with_it() -> None:
    user = person("operator")
    assert user is not None
    assert user.is_staff
    assert not give_standing(user, Standing.OPERATOR, by=Actor("x"), at=timezone.now())
    give_standing(user, Standing.VIEWER, by=Actor("x"), at=timezone.now())
    assert [group.name for group in user.groups.all()] == ["viewer"]
    give_standing(user, None, by=Actor("x"), at=timezone.now())
    assert not User.objects.get(pk=user.pk).is_staff


def test_admin_gives_roles_but_raises_nobody_above_himself(client: Client) -> None:
    signed_in(client, "admin")
    boss = UserFactory(username="boss", admin=True)
    ann = UserFactory(username="ann")
    url = reverse("admin:auth_user_change", args=[ann.pk])
    fields = {"username": "ann", "standing": "operator", "is_active": "on", "is_superuser": "on"}

    client.post(url, fields)

    ann.refresh_from_db()
    assert [group.name for group in ann.groups.all()] == ["operator"]
    assert ann.is_staff
    assert not ann.is_superuser
    acts = AuditEntry.objects.by("admin").values_list("what", "reason")
    assert ("ann", "is operator now") in acts
    for page in ("admin:auth_user_change", "admin:auth_user_password_change"):
        other = reverse(page, args=[boss.pk])
        assert client.post(other, {"username": "x", "password1": "x"}).status_code == 403


def test_edit_of_a_channel_in_the_admin_is_on_the_trail(client: Client) -> None:
    signed_in(client, "admin")
    row = ChannelFactory(name="demo", systems=())
    page = client.get(reverse("admin:builds_channel_change", args=[row.pk]))
    form = {
        name: "" if value is None else value
        for name, value in page.context["adminform"].form.initial.items()
        if not isinstance(value, (dict, list))
    }
    empty = {
        "targets-TOTAL_FORMS": 0,
        "targets-INITIAL_FORMS": 0,
        "overrides": "{}",
        "checks": "[]",
    }
    client.post(page.wsgi_request.path, form | empty | {"title": "Another"})

    entry = AuditEntry.objects.newest_first().first()
    assert entry is not None
    assert (entry.who, entry.act, entry.kind, entry.channel) == (
        "admin",
        "change",
        "channel",
        "demo",
    )
    assert "Title" in entry.reason


def test_trail_is_narrowed_down_and_paged(
    client: Client, django_assert_max_num_queries: Callable[..., object]
) -> None:
    signed_in(client, "viewer")
    demo, other = ChannelFactory(name="demo"), ChannelFactory(name="other")
    for number in range(60):
        by = Actor("ann" if number % 2 else "bob")
        AuditEntry.objects.record(
            Act.CHANGE, demo if number % 3 else other, by=by, at=timezone.now(), reason=f"r{number}"
        )
    with django_assert_max_num_queries(10):  # type: ignore[attr-defined]
        page = client.get("/audit/")
    assert "page 1 of 2" in text_of(page)
    found = text_of(client.get("/audit/?who=ann&channel=other&act=change"))
    assert "r3" in found
    assert "r2" not in found.replace("r21", "").replace("r27", "")
    assert "No entry fits" in text_of(client.get("/audit/?who=carl"))


def test_table_in_the_docs_says_the_same() -> None:
    text = Path(settings.BASE_DIR, "docs", "roles.md").read_text()
    for act in Act.on_releases():
        allowed = next(row[3] for row in MATRIX if row[0] is act)
        marks = ["yes" if who in allowed else "no" for who in ("viewer", "operator", "admin")]
        assert f"| {act.value.replace('-', ' ')} | {' | '.join(marks)} |" in text
