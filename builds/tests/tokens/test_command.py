"""`manage.py token`: make, list, revoke."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from builds.choices import Standing
from builds.models import AuditEntry, Token
from builds.tests.tokens.conftest import ask, demo, owner

pytestmark = pytest.mark.django_db


def run(*words: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("token", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_made_token_is_all_of_stdout_and_works() -> None:
    demo()
    ann = owner()
    out, err = run(
        *("make", "ann", "nightly", "--scope", "trigger", "--channel", "demo", "--days", "7")
    )
    text = out.strip()
    assert out == f"{text}\n"
    assert "nightly of ann: trigger; of demo; until 20" in err
    assert text not in err
    assert ask(text, "releases/", {"channel": "demo"}).status_code == 202
    token = Token.objects.get()
    assert (token.owner, (token.expires_at - token.created_at).days) == (ann, 7)
    assert AuditEntry.objects.filter(act="add", who__startswith="command line as").exists()


def test_list_says_what_each_is_for_and_when_it_was_used() -> None:
    owner()
    text = run("make", "ann", "nightly", "--scope", "cancel")[0].strip()
    out, _ = run("list")
    assert out.startswith(f"{text[:8]}…  nightly of ann  cancel; of every channel  never used")
    assert text not in out
    owner("bob")
    assert run("list", "--owner", "bob")[0] == ""


def test_revoked_token_opens_nothing_and_says_so() -> None:
    owner()
    text = run("make", "ann", "nightly", "--scope", "trigger")[0].strip()
    assert run("revoke", "ann", "nightly", "--reason", "It leaked.")[0] == (
        "nightly of ann is revoked\n"
    )
    assert ask(text, "releases/", {}).status_code == 401
    assert "revoked on" in run("list")[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("make", "bob", "x", "--scope", "trigger"), "there is no account 'bob'; known: ann"),
        (("make", "ann", "x", "--scope", "publish"), "ann may not do that: publish"),
        (("make", "ann", "x", "--scope", "trigger", "--days", "366"), "--days wants 1 to 365"),
        (("make", "ann", "x", "--scope", "trigger", "--days", "0"), "--days wants 1 to 365"),
        (("make", "ann", "x", "--scope", "trigger", "--channel", "y"), "there is no channel 'y'"),
        (("make", "ann", "old", "--scope", "trigger"), "ann has a token 'old'; revoke it first"),
        (("revoke", "ann", "x"), "ann has no token 'x'; known are: old"),
    ],
)
def test_wrong_words_end_with_one_line(words: Any, said: str) -> None:
    owner(standing=Standing.OPERATOR)
    run("make", "ann", "old", "--scope", "trigger")
    with pytest.raises(CommandError, match=said):
        run(*words)
    assert Token.objects.count() == 1
