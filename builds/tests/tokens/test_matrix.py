"""Every act by every kind of token: done by the right one, and by no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from builds.choices import Act, Scope, Standing
from builds.models import Actor, AuditEntry, Build, Channel, Release, Token, give_standing
from builds.tests.factories import BuildFactory, ReleaseFactory
from builds.tests.tokens.conftest import ask, demo, finished, new_token, owner

pytestmark = pytest.mark.django_db

Row = Channel | Build | Release


@dataclass(frozen=True)
class Way:
    """One act: its scope, its address, what is sent, and who may; a row on which it works."""

    act: Act
    scope: Scope
    make: Callable[[], Row]
    path: Callable[[Any], str]
    body: Callable[[Any], Any]
    status: int
    least: Standing = Standing.OPERATOR


def named(release: Release, verb: str) -> str:
    return f"releases/{release.channel.name}/{release.version}/{release.system}/{verb}/"


def failed_build() -> Build:
    build: Build = BuildFactory(release=ReleaseFactory(failed=True, queue=False), failed=True)
    return build


WAYS = {
    "trigger": Way(
        Act.TRIGGER,
        Scope.TRIGGER,
        demo,
        lambda row: "releases/",
        lambda row: {"channel": row.name},
        202,
    ),
    "cancel": Way(
        Act.CANCEL,
        Scope.CANCEL,
        BuildFactory,
        lambda row: f"builds/{row.pk}/cancel/",
        lambda row: None,
        202,
    ),
    "retry": Way(
        Act.RETRY,
        Scope.TRIGGER,
        failed_build,
        lambda row: f"builds/{row.pk}/retry/",
        lambda row: None,
        202,
    ),
    "publish": Way(
        Act.PUBLISH,
        Scope.PUBLISH,
        finished,
        lambda row: named(row, "publish"),
        lambda row: None,
        200,
        Standing.ADMIN,
    ),
    "withdraw": Way(
        Act.WITHDRAW,
        Scope.WITHDRAW,
        lambda: ReleaseFactory(published=True),
        lambda row: named(row, "withdraw"),
        lambda row: {"reason": "It does not boot."},
        200,
        Standing.ADMIN,
    ),
}


def changed(text: str, place: int) -> str:
    """The token with another letter in one place."""
    other = "A" if text[place] != "A" else "B"
    return text[:place] + other + text[place + 1 :]


def none(way: Way) -> str | None:
    return None


def right(way: Way) -> str:
    return new_token(way.scope)[1]


def least(way: Way) -> str:
    return new_token(way.scope, of=owner("op", way.least))[1]


def unknown(way: Way) -> str:
    text = right(way)
    Token.objects.all().delete()
    return text


def mistyped(way: Way) -> str:
    return changed(right(way), 12)


def expired(way: Way) -> str:
    return new_token(way.scope, days=-1)[1]


def revoked(way: Way) -> str:
    token, text = new_token(way.scope)
    token.revoke(by=Actor("test"), at=timezone.now())
    return text


def other_scopes(way: Way) -> str:
    return new_token(*(scope for scope in Scope if scope is not way.scope))[1]


def shut_owner(way: Way) -> str:
    token, text = new_token(way.scope)
    token.owner.is_active = False
    token.owner.save()
    return text


def lowered_owner(way: Way) -> str:
    """Its owner had the right standing when it was made, and has a lesser one now."""
    token, text = new_token(way.scope)
    below = {Standing.ADMIN: Standing.OPERATOR, Standing.OPERATOR: Standing.VIEWER}[way.least]
    give_standing(token.owner, below, by=Actor("test"), at=timezone.now())
    return text


def other_channel(way: Way) -> str:
    return new_token(way.scope, channels=["elsewhere"])[1]


KINDS: dict[Callable[[Way], str | None], tuple[int, str]] = {
    none: (401, "wants an API token"),
    unknown: (401, "knows no such token"),
    mistyped: (401, "checksum is wrong"),
    expired: (401, "expired on"),
    revoked: (401, "was revoked on"),
    shut_owner: (401, "account that owns this token is shut"),
    other_scopes: (403, "wants the scope {scope}; the token has "),
    lowered_owner: (403, "account that owns this token may not {act} now"),
    other_channel: (403, "for elsewhere only, not for "),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_wrong_token_is_refused_by_a_problem_that_says_why(
    way: Way, kind: Callable[[Way], str | None]
) -> None:
    row, text = way.make(), kind(way)
    before = AuditEntry.objects.count()

    answer = ask(text, way.path(row), way.body(row))

    status, why = KINDS[kind]
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert why.format(scope=way.scope.value, act=way.act.value) in problem["detail"]
    if status == 401:
        assert answer["WWW-Authenticate"].startswith("Bearer realm=")
        assert ('error="invalid_token"' in answer["WWW-Authenticate"]) == (kind is not none)
    if kind is other_scopes:
        assert problem["missing_scope"] == way.scope
        assert f'error="insufficient_scope", scope="{way.scope}"' in answer["WWW-Authenticate"]
    assert AuditEntry.objects.count() == before, "nothing was done"
    assert text is None or text not in answer.content.decode() + str(answer.headers)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", [right, least], ids=lambda kind: kind.__name__)
def test_right_token_does_it_and_is_named_on_the_trail(
    way: Way, kind: Callable[[Way], str]
) -> None:
    row, text = way.make(), kind(way)

    answer = ask(text, way.path(row), way.body(row))

    assert answer.status_code == way.status, answer.content
    assert answer["Location"].startswith("http://testserver/api/v1/")
    assert answer["Cache-Control"] == "no-store"
    token = Token.objects.select_related("owner").get()
    entry = AuditEntry.objects.newest_first()[0]
    assert (entry.act, entry.who) == (way.act, f"token ci of {token.owner}")
    assert entry.user_pk == token.owner_id


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_required_second_factor_holds_the_tokens_back_too(way: Way, settings: Any) -> None:
    row, text = way.make(), right(way)
    settings.REQUIRE_MFA = True

    assert ask(text, way.path(row), way.body(row)).status_code == 403


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_cookies_open_nothing(way: Way, client: Any) -> None:
    row = way.make()
    client.force_login(owner())

    assert ask(None, way.path(row), way.body(row), client=client).status_code == 401
