"""Tokens themselves: what is kept of them, when they end, and that no log ever has one."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client, RequestFactory
from django.utils import timezone

from builds import pipeline
from builds.api.authorization import visible_to
from builds.api.refusals import Refused
from builds.choices import Scope, Standing
from builds.models import Actor, AuditEntry, Release, Token
from builds.tests.factories import ReleaseFactory
from builds.tests.tokens.conftest import API, ask, demo, get, new_token, owner

pytestmark = pytest.mark.django_db

BY = Actor("test")


def test_only_the_digest_is_kept() -> None:
    token, text = new_token()
    assert token.digest == hashlib.sha256(text.encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM builds_token")
        [row] = cursor.fetchall()
    assert not [cell for cell in row if text in str(cell) or text[12:-6] in str(cell)]
    assert token.hint == text[:8]
    assert text not in "".join(entry.content().decode() for entry in AuditEntry.objects.all())


def test_making_and_revoking_are_on_the_trail() -> None:
    token, _ = new_token(Scope.CANCEL, Scope.TRIGGER, channels=["demo"])
    assert token.revoke(by=BY, at=timezone.now(), reason="It leaked.")
    assert not token.revoke(by=BY, at=timezone.now())
    entries = AuditEntry.objects.filter(kind="API token").order_by("number")
    assert [(entry.act, entry.what) for entry in entries] == [
        ("add", "ci of ann"),
        ("change", "ci of ann"),
    ]
    assert entries[0].reason.startswith("trigger, cancel; of demo; until 20")
    assert entries[1].reason == "revoked: It leaked."


def test_name_is_free_again_once_its_token_is_revoked() -> None:
    token, _ = new_token()
    with pytest.raises(IntegrityError), transaction.atomic():
        new_token(of=token.owner)
    token.revoke(by=BY, at=timezone.now())
    new_token(of=token.owner)


def test_last_use_is_written_once_a_minute(django_assert_num_queries: Any) -> None:
    token, _ = new_token()
    now = timezone.now()
    with django_assert_num_queries(1):
        token.note_use(at=now)
    stale = Token.objects.get()
    with django_assert_num_queries(0):
        token.note_use(at=now + timedelta(seconds=59))
        stale.note_use(at=now + timedelta(seconds=59))
    assert Token.objects.get().last_used_at == now
    token.note_use(at=now + timedelta(seconds=60))
    assert Token.objects.get().last_used_at == now + timedelta(seconds=60)


def test_use_is_seen_even_where_it_is_refused_for_its_scope() -> None:
    _, text = new_token(Scope.WITHDRAW)
    ask(text, "releases/", {"channel": "demo"})
    assert Token.objects.get().last_used_at is not None


def test_ended_tokens_are_shown_for_a_while_and_then_forgotten() -> None:
    token, _ = new_token(days=-1)
    now = timezone.now()
    assert list(Token.objects.shown(now)) == [token]
    assert not Token.objects.live(now).exists()
    later = now + timedelta(days=31)
    assert not Token.objects.shown(later).exists()
    list(pipeline.collect(at=now))
    assert Token.objects.exists()
    list(pipeline.collect(at=later))
    assert not Token.objects.exists()
    assert AuditEntry.objects.filter(kind="API token").exists()


def test_deleted_channel_does_not_widen_a_token() -> None:
    channel = demo()
    ReleaseFactory(published=True, channel__name="other")
    _, text = new_token(channels=["demo"])
    channel.targets.all().delete()
    channel.delete()
    assert ask(text, "releases/", {"channel": "other"}).status_code == 403


@pytest.mark.parametrize("kind", ["right", "unknown", "cut", "wrong scheme", "address", "crash"])
def test_token_is_never_in_a_log(
    kind: str, caplog: pytest.LogCaptureFixture, settings: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    demo()
    _, text = new_token()
    shown = text[:-1] if kind == "cut" else text
    headers = {"Authorization": f"{'Token' if kind == 'wrong scheme' else 'Bearer'} {shown}"}
    if kind == "unknown":
        Token.objects.all().delete()
    if kind == "crash":
        headers["Idempotency-Key"] = "x"
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE builds_answer")
    settings.DEBUG = True  # where most is said
    with caplog.at_level(logging.DEBUG):
        answer = Client(raise_request_exception=False).post(
            f"{API}releases/" + (f"?access_token={text}" if kind == "address" else ""),
            '{"channel": "demo"}',
            "application/json",
            headers=headers,
        )
    wanted = {"right": 202, "address": 400, "crash": 500}.get(kind, 401)
    assert answer.status_code == wanted
    records = [f"{each.getMessage()} {each.args} {each.exc_text}" for each in caplog.records]
    kept = "\n".join([*records, *capfd.readouterr(), answer.content.decode()])
    assert records or kind == "right"
    assert shown not in kept


def test_drafts_are_visible_to_those_who_may_see_them_and_to_nobody_else() -> None:
    published = ReleaseFactory(published=True, channel__name="demo")
    draft = ReleaseFactory(channel=published.channel, pinned=True)
    other = ReleaseFactory(channel__name="other", failed=True)

    def seen(text: str | None, query: str = "") -> set[int]:
        said = {"Authorization": f"Bearer {text}"} if text else {}
        request = RequestFactory().get(f"/{query}", headers=said)
        return {release.pk for release in visible_to(request, Release.objects.all())}

    ann = owner()
    everything = new_token(Scope.READ_DRAFTS, of=ann, name="all")[1]
    assert seen(None) == {published.pk}
    assert seen(everything) == {published.pk, draft.pk, other.pk}
    some = new_token(Scope.READ_DRAFTS, of=ann, name="some", channels=["demo"])[1]
    assert seen(some) == {published.pk, draft.pk}
    assert seen(new_token(Scope.WITHDRAW, of=ann, name="w")[1]) == {published.pk}
    nobody = owner("nobody", None)
    assert seen(new_token(Scope.READ_DRAFTS, of=nobody)[1]) == {published.pk}
    for wrong, query in (("nip_wrong", ""), (everything, f"?access_token={everything}")):
        with pytest.raises(Refused):
            seen(wrong, query)


def test_token_of_a_viewer_reads_drafts_and_does_nothing() -> None:
    draft = ReleaseFactory(pinned=True)
    _, text = new_token(of=owner("vera", Standing.VIEWER))
    assert get(text, f"releases/drafts/{draft.pk}/").status_code == 200
    assert ask(text, "releases/", {"channel": draft.channel.name}).status_code == 403
