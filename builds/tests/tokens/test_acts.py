"""What programs do with a token: each act's answer, and why it was not done."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from builds.choices import BuildStatus, ReleaseStatus, Scope, System, Trigger
from builds.models import AuditEntry, Build, Head, Release, Token
from builds.tests.factories import BuildFactory, ChannelFactory, ReleaseFactory
from builds.tests.tokens.conftest import API, ask, demo, finished, get, new_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def text() -> str:
    return new_token()[1]


def test_trigger_answers_the_draft_and_where_to_follow_it(text: str) -> None:
    demo()

    answer = ask(text, "releases/", {"channel": "demo", "system": "x86_64-linux", "force": True})

    draft = Release.objects.get()
    assert (draft.trigger, draft.forced, draft.status) == (Trigger.API, True, ReleaseStatus.DRAFT)
    [said] = answer.json()["releases"]
    assert set(said) == {
        *("id", "channel", "system", "version", "status", "trigger", "forced", "reason"),
        *("created_at", "url", "page_url", "builds"),
    }
    assert (said["id"], said["version"], said["trigger"]) == (draft.pk, None, "api")
    assert answer["Location"] == said["url"] == f"http://testserver{API}releases/drafts/{draft.pk}/"
    followed = get(text, f"releases/drafts/{draft.pk}/")
    assert followed.json() == said
    assert followed["Cache-Control"] == "no-store"


def test_trigger_without_a_system_is_for_all_of_them(text: str) -> None:
    ChannelFactory(name="demo")

    answer = ask(text, "releases/", {"channel": "demo"})

    assert {said["system"] for said in answer.json()["releases"]} == set(System.values)
    assert answer["Location"].endswith(f"{API}releases/?channel=demo&status=draft")


def test_trigger_joins_the_draft_in_the_making(text: str) -> None:
    channel = demo()
    draft = ReleaseFactory(channel=channel, pinned=True)

    [said] = ask(text, "releases/", {"channel": "demo"}).json()["releases"]

    assert said["id"] == draft.pk
    assert {build["variant"] for build in said["builds"]} == {"netboot", "kexec-installer"}


def test_variant_is_tried_again_in_the_release_that_failed_for_want_of_it(text: str) -> None:
    channel = demo()
    failed = ReleaseFactory(channel=channel, failed=True)

    answer = ask(text, "releases/", {"channel": "demo", "variant": "netboot"})

    assert answer.status_code == 202
    assert [said["id"] for said in answer.json()["releases"]] == [failed.pk]
    failed.refresh_from_db()
    assert failed.is_draft
    again = ask(text, "releases/", {"channel": "demo", "variant": "iso"})
    assert again.status_code == 409
    assert "iso is not part of" in again.json()["detail"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"channel": "nowhere"}, "there is no channel nowhere; channels: demo, two"),
        ({"channel": "demo", "system": "aarch64-linux"}, "not built for aarch64-linux"),
        ({"channel": "demo", "system": "riscv64-linux"}, "system"),
        ({"channel": "demo", "variant": "floppy"}, "variant"),
        ({"channel": "demo", "forced": True}, "forced"),
        ({"channel": "demo", "variant": "netboot", "force": True}, "force"),
        ({"channel": "de\0mo"}, "channel"),
        ({"channel": "\ud800"}, "channel"),
        ({}, "channel"),
        ({"channel": "two", "variant": "netboot"}, "a variant is retried on one system"),
        ([], "valid dictionary"),
    ],
)
def test_wish_that_can_not_be_is_a_422_that_names_the_field(
    text: str, body: Any, word: str
) -> None:
    demo()
    ChannelFactory(name="two")

    answer = ask(text, "releases/", body)

    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert word in answer.content.decode()
    assert not Release.objects.exists()


def test_what_is_not_there_is_a_404(text: str) -> None:
    release = ReleaseFactory(published=True)
    of = release.channel.name
    for path, body in (
        ("builds/99/cancel/", None),
        ("builds/99/retry/", None),
        (f"releases/{of}/1.0/{release.system}/publish/", None),
        (f"releases/{of}/{release.version}/aarch64-linux/withdraw/", {"reason": "x"}),
    ):
        answer = ask(text, path, body)
        assert answer.status_code == 404, path
        assert answer["Content-Type"] == "application/problem+json"
    assert get(text, "releases/drafts/99/").status_code == 404


def test_act_that_the_state_forbids_is_a_409_that_names_the_state(text: str) -> None:
    release = ReleaseFactory(published=True)
    build = release.builds.first()
    draft = ReleaseFactory(pinned=True)
    taken = ReleaseFactory(withdrawn=True)
    for path, body, state in (
        (f"builds/{build.pk}/cancel/", None, "succeeded"),
        (f"builds/{build.pk}/retry/", None, "succeeded"),
        (_path(draft, "publish"), None, "draft"),
        (_path(draft, "withdraw"), {"reason": "x"}, "draft"),
        (_path(taken, "withdraw"), {"reason": "x"}, "withdrawn"),
        (_path(taken, "publish"), None, "withdrawn"),
    ):
        answer = ask(text, path, body)
        assert (answer.status_code, answer.json()["state"]) == (409, state), path
        assert len(answer.json()["detail"]) > 20


def test_cancel_takes_a_reason_and_stops_the_whole_release(text: str) -> None:
    build = BuildFactory()
    BuildFactory(release=build.release, variant="kexec-installer")

    answer = ask(text, f"builds/{build.pk}/cancel/", {"reason": " Not today. "})

    assert answer.json()["status"] == "cancelled"
    assert answer["Location"] == f"http://testserver{API}builds/{build.pk}/"
    build.release.refresh_from_db()
    assert build.release.status == ReleaseStatus.CANCELLED
    assert set(Build.objects.values_list("status", "error")) == {
        (BuildStatus.CANCELLED, "Not today."),
        (BuildStatus.CANCELLED, "netboot of the same release cancelled."),
    }


def test_retry_answers_the_new_attempt(text: str) -> None:
    build = BuildFactory(release=ReleaseFactory(failed=True, queue=False), failed=True)

    answer = ask(text, f"builds/{build.pk}/retry/")

    newest = build.release.builds.get(attempt=2)
    assert (answer.json()["id"], answer.json()["attempt"]) == (newest.pk, 2)
    assert answer["Location"].endswith(f"builds/{newest.pk}/")


def test_published_twice_is_published_once(text: str) -> None:
    draft = finished()

    first, second = (ask(text, _path(draft, "publish")) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert first.json()["status"] == "published"
    assert first["Location"] == f"http://testserver{API}{_path(draft, '').removesuffix('/')}"
    assert AuditEntry.objects.filter(act="publish").count() == 1
    assert Head.objects.get().release == draft


def test_withdrawing_wants_a_reason_that_everybody_reads(text: str) -> None:
    release = ReleaseFactory(published=True)
    for body in (
        None,
        {},
        {"reason": ""},
        {"reason": "  "},
        {"reason": "x" * 501},
        {"reason": "\0"},
    ):
        assert ask(text, _path(release, "withdraw"), body).status_code == 422
    answer = ask(text, _path(release, "withdraw"), {"reason": "It eats disks."})
    assert (answer.json()["status"], answer.json()["reason"]) == ("withdrawn", "It eats disks.")


@pytest.mark.parametrize("verb", ["trigger", "retry"])
def test_full_queue_takes_nothing_more_from_programs(text: str, verb: str, settings: Any) -> None:
    settings.QUEUE_MOST = 2
    channel = demo()
    for variant in ("netboot", "kexec-installer"):
        BuildFactory(variant=variant)
    failed = BuildFactory(release=ReleaseFactory(failed=True, queue=False), failed=True)
    path, body = {
        "trigger": ("releases/", {"channel": channel.name}),
        "retry": (f"builds/{failed.pk}/retry/", None),
    }[verb]

    answer = ask(text, path, body)

    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert (answer.json()["queue_length"], answer.json()["queue_most"]) == (2, 2)
    assert not Release.objects.filter(channel=channel).exists()


def test_token_in_the_address_is_refused_wherever_it_is_read(text: str) -> None:
    demo()
    for query in (f"access_token={text}", f"x={text}", f"q=my%20{text}", "token=x"):
        answer = ask(text, f"releases/?{query}", {"channel": "demo"})
        assert answer.status_code == 400, query
        assert "revoke" in answer.json()["detail"]
        assert text not in answer.content.decode()
    assert not Release.objects.exists()


def test_other_schemes_than_bearer_are_no_token() -> None:
    _, text = new_token()
    for said in (text, f"Basic {text}", f"Token {text}", "Bearer", ""):
        headers = {"Authorization": said}
        answer = Client().post(f"{API}releases/", {}, "application/json", headers=headers)
        assert answer.status_code == 401, said
    headers = {"Authorization": f"bearer  {text} "}
    answer = Client().post(f"{API}releases/", {}, "application/json", headers=headers)
    assert answer.status_code == 422, "the scheme's case and blanks don't matter"


def test_number_of_queries_of_a_trigger_is_fixed(text: str, django_assert_num_queries: Any) -> None:
    demo()
    ask(text, "releases/", {"channel": "demo"})
    with CaptureQueriesContext(connection) as few:
        ask(text, "releases/", {"channel": "demo"})
    for number in range(5):
        ReleaseFactory(published=True)
        new_token(name=f"other {number}", of=Token.objects.get(name="ci").owner)
    with django_assert_num_queries(len(few)):
        assert ask(text, "releases/", {"channel": "demo"}).status_code == 202


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        ([Scope.READ_DRAFTS], 200),
        ([Scope.TRIGGER], 200),
        ([Scope.CANCEL], 200),
        ([Scope.PUBLISH], 200),
        ([Scope.WITHDRAW], 403),
    ],
)
def test_drafts_are_shown_to_those_who_act_on_them(scopes: list[Scope], status: int) -> None:
    draft = ReleaseFactory(pinned=True)
    _, text = new_token(*scopes)
    assert get(text, f"releases/drafts/{draft.pk}/").status_code == status
    assert get(None, f"releases/drafts/{draft.pk}/").status_code == 401


def test_drafts_of_other_channels_are_as_if_they_were_not_there() -> None:
    draft = ReleaseFactory(pinned=True)
    _, text = new_token(Scope.READ_DRAFTS, channels=["elsewhere"])
    assert get(text, f"releases/drafts/{draft.pk}/").status_code == 404


def _path(release: Release, verb: str) -> str:
    return f"releases/{release.channel.name}/{release.version}/{release.system}/{verb}/"
