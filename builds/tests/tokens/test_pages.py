"""The pages on which people make, see and revoke their tokens, and the admin's list."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from builds.choices import Scope, Standing
from builds.models import Actor, AuditEntry, Token, give_standing
from builds.tests.factories import ChannelFactory
from builds.tests.tokens.conftest import ask, demo, new_token, owner
from builds.tests.web.reading import text_of
from builds.tests.web.test_policy import INLINE, STRICT, policy

pytestmark = pytest.mark.django_db

PAGES = ("/accounts/tokens/", "/accounts/tokens/new/")
WISH = {"name": "ci", "scopes": ["trigger"], "channels": ["demo"], "days": "30"}


def signed_in(user: User, *, lately: bool = True) -> Client:
    client = Client()
    client.force_login(user)
    if lately:  # as one is who has just typed the password again
        session = client.session
        said = {"method": "password", "at": time.time(), "reauthenticated": True}
        session["account_authentication_methods"] = [said]
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()
    return client


def test_token_is_made_and_shown_once() -> None:
    demo()
    client = signed_in(owner())

    page = client.post("/accounts/tokens/new/", WISH)

    [text] = re.findall(r"nip_[0-9A-Za-z]{49}", page.content.decode())
    assert "no-store" in page["Cache-Control"]
    assert ask(text, "releases/", {"channel": "demo"}).status_code == 202
    token = Token.objects.get()
    assert (token.scopes, token.channels) == (["trigger"], ["demo"])
    assert token.expires_at - token.created_at == timedelta(days=30)
    assert AuditEntry.objects.filter(act="add", who="ann", what="ci of ann").exists()
    for path in PAGES:
        assert text not in client.get(path).content.decode()
    again = client.post("/accounts/tokens/new/", WISH)
    assert "revoke it first" in text_of(again)
    assert Token.objects.count() == 1, "sending the form again makes no second one"


@pytest.mark.parametrize(
    "wish",
    [
        {**WISH, "scopes": ["publish"]},
        {**WISH, "scopes": []},
        {**WISH, "days": "366"},
        {**WISH, "days": "0"},
        {**WISH, "channels": ["nowhere"]},
        {**WISH, "name": " "},
    ],
)
def test_wish_that_can_not_be_makes_nothing(wish: dict[str, Any]) -> None:
    demo()
    client = signed_in(owner(standing=Standing.OPERATOR))
    assert client.post("/accounts/tokens/new/", wish).status_code == 200
    assert not Token.objects.exists()


def test_only_what_one_may_do_oneself_is_offered() -> None:
    def offered(standing: Standing | None) -> list[str]:
        page = signed_in(owner(f"a {standing}", standing)).get("/accounts/tokens/new/")
        return re.findall(r'name="scopes" value="([a-z-]+)"', page.content.decode())

    assert offered(Standing.ADMIN) == [scope.value for scope in Scope]
    assert offered(Standing.OPERATOR) == ["trigger", "cancel", "read-drafts"]
    assert offered(Standing.VIEWER) == ["read-drafts"]
    assert offered(None) == []


def test_making_one_wants_the_password_again_where_it_was_typed_long_ago() -> None:
    user = owner()
    user.set_password("correct horse battery")
    user.save()
    client = signed_in(user, lately=False)
    assert client.get("/accounts/tokens/").status_code == 200
    for answer in (client.get(PAGES[1]), client.post(PAGES[1], WISH)):
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
    assert not Token.objects.exists()


def test_visitors_are_asked_to_sign_in() -> None:
    token, _ = new_token()
    for path in (*PAGES, f"/accounts/tokens/{token.pk}/revoke"):
        for answer in (Client().get(path), Client().post(path)):
            assert answer.status_code in {302, 405}
            if answer.status_code == 302:
                assert answer["Location"].startswith("/accounts/login/?next=")


def test_list_says_how_each_token_stands() -> None:
    user = owner()
    new_token(Scope.PUBLISH, of=user, name="new", channels=["demo"])
    used, _ = new_token(of=user, name="used")
    used.note_use(at=timezone.now() - timedelta(hours=3))
    new_token(of=user, name="old", days=-1)
    gone, _ = new_token(of=user, name="gone")
    gone.revoke(by=Actor("test"), at=timezone.now())
    new_token(of=owner("bob"), name="another's")
    give_standing(user, Standing.OPERATOR, by=Actor("test"), at=timezone.now())

    said = text_of(signed_in(user).get("/accounts/tokens/"))

    for words in ("3 hours ago", "never", "expired", "revoked", "valid", "every one"):
        assert words in said
    assert "of no use now: your account may not publish" in said
    assert "another's" not in said


def test_list_takes_a_fixed_number_of_queries(django_assert_max_num_queries: Any) -> None:
    user = owner()
    for number in range(20):
        new_token(of=user, name=f"token {number}")
    client = signed_in(user)
    with django_assert_max_num_queries(10):
        assert "token 19" in text_of(client.get("/accounts/tokens/"))


def test_own_token_is_revoked_and_another_s_is_not_there() -> None:
    user = owner()
    token, text = new_token(of=user)
    other, _ = new_token(of=owner("bob"))
    client = signed_in(user)
    url = reverse("token-revoke", args=[token.pk])
    assert "refused from now on" in text_of(client.get(url))
    assert Token.objects.filter(revoked_at=None).count() == 2, "looking does nothing"
    assert "ci is revoked." in text_of(client.post(url, follow=True))
    assert ask(text, "releases/", {}).status_code == 401
    assert AuditEntry.objects.newest_first()[0].who == "ann"
    assert "was revoked before" in text_of(client.get(url))
    assert client.post(reverse("token-revoke", args=[other.pk])).status_code == 404


def test_pages_are_strict_and_without_inline_code() -> None:
    token, _ = new_token()
    client = signed_in(token.owner)
    made = client.post("/accounts/tokens/new/", {**WISH, "name": "x", "channels": []})
    for page in (made, *(client.get(path) for path in PAGES)):
        assert policy(page) == STRICT
        assert INLINE.findall(page.content.decode()) == []


def test_admin_sees_all_tokens_and_revokes_them() -> None:
    tokens = [new_token(of=owner(name))[0] for name in ("ann", "bob")]
    url = reverse("admin:builds_token_changelist")
    chosen = {"action": "revoke", "_selected_action": [token.pk for token in tokens]}
    vera = signed_in(owner("vera", Standing.VIEWER))
    assert "ci" in text_of(vera.get(url))
    vera.post(url, chosen)
    assert Token.objects.live(timezone.now()).count() == 2
    boss = signed_in(owner("boss"))
    page = boss.get(reverse("admin:builds_token_change", args=[tokens[0].pk])).content.decode()
    assert tokens[0].digest not in page
    assert 'name="_save"' not in page
    assert "Revoked: " in text_of(boss.post(url, chosen, follow=True))
    assert not Token.objects.live(timezone.now()).exists()
    assert set(AuditEntry.objects.by("boss").values_list("reason", flat=True)) == {"revoked"}


ENGLISH = ("token", "Make", "Channels", "Scopes", "Last used", "expired", "revoke")


def test_pages_speak_german() -> None:
    ChannelFactory(name="demo")
    user = owner()
    token, _ = new_token(Scope.PUBLISH, of=user)
    give_standing(user, Standing.VIEWER, by=Actor("test"), at=timezone.now())
    client = signed_in(user)
    revoke = reverse("token-revoke", args=[token.pk])
    for path in (*PAGES, revoke):
        page = client.get(path, headers={"Accept-Language": "de"})
        assert '<html lang="de"' in page.content.decode()
        said = text_of(page).partition("Sign out")[2].replace("manage.py", "")
        assert [word for word in ENGLISH if word in said] == [], path
