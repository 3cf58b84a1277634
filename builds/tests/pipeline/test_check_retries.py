"""What is done where a check could not be made, which says nothing about the release."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from builds import pipeline, tasks
from builds.choices import BuildStatus, ReleaseStatus, Verdict
from builds.models import Check, Release
from builds.pipeline import advance
from builds.tests.factories import BOOT_CHECK, CheckFactory, ReleaseFactory
from builds.tests.pipeline.conftest import MakeChannel, draft_of
from builds.tests.pipeline.driver import WORKER, take

pytestmark = pytest.mark.django_db(transaction=True)
STEP = timedelta(seconds=30)


def built(make_channel: MakeChannel) -> Check:
    """The check of a release whose files are really there."""
    release = draft_of(make_channel(checks=(BOOT_CHECK,)))
    for _ in ("plan", "build"):
        for step in advance(release, at=timezone.now()):
            take(step)
        release.refresh_from_db()
    return release.checks.get()


def ready() -> Check:
    """A check of rows alone, whose builds are done."""
    check: Check = CheckFactory(release=ReleaseFactory(pinned=True, channel__checks=[]))
    check.release.builds.update(status=BuildStatus.SUCCEEDED)
    return check


def missed(check: Check) -> Check:
    """Let it be taken once more, in vain."""
    assert check.start(WORKER)
    check.miss("QEMU could not start.", at=timezone.now())
    return check


def test_emulator_that_cannot_start_does_not_hold_the_release_back(
    make_channel: MakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = built(make_channel)
    monkeypatch.setenv("PATH", "/nowhere")
    before = timezone.now()

    pipeline.run_check(check, worker=WORKER)

    check.refresh_from_db()
    assert check.verdict == Verdict.PENDING
    assert "not installed" in check.reason
    assert check.retry_at is not None
    assert STEP <= check.retry_at - before < 2 * STEP
    assert advance(check.release, at=timezone.now(), again=True) == []
    [step] = advance(check.release, at=check.retry_at, again=True)
    assert (step.task, step.row) == ("check", check.pk)


def test_storage_that_is_away_does_not_hold_the_release_back(
    make_channel: MakeChannel, storage_folder: Path
) -> None:
    check = built(make_channel)
    storage_folder.rename(storage_folder.with_name("away"))
    storage_folder.touch()

    pipeline.run_check(check, worker=WORKER)

    check.refresh_from_db()
    assert (check.verdict, check.tries) == (Verdict.PENDING, 1)
    assert "does not answer" in check.reason


def test_pauses_grow_and_the_fifth_try_is_the_last() -> None:
    check = ready()
    pauses = []
    for _ in range(4):
        before = timezone.now()
        missed(check)
        assert check.retry_at is not None
        pauses.append(round((check.retry_at - before) / STEP))
    assert pauses == [1, 4, 16, 64], "30 s, 2 min, 8 min, 32 min"
    advance(check.release, at=timezone.now())
    assert Release.objects.get().is_draft

    missed(check)

    advance(check.release, at=timezone.now())
    release = Release.objects.get()
    assert release.status == ReleaseStatus.FAILED
    assert "QEMU could not start. That was the last of 5 tries." in release.reason


def test_check_that_is_not_due_is_not_taken_and_its_page_says_so(client: Client) -> None:
    check = missed(ready())

    tasks.check(check.pk)

    check.refresh_from_db()
    assert (check.verdict, check.fence) == (Verdict.PENDING, 1)
    page = client.get(check.release.get_absolute_url()).content.decode()
    assert "could not be checked yet" in page
    assert "Tried 1 time; tried again" in page


def test_asking_for_the_release_ends_the_waiting_and_a_good_try_publishes_it() -> None:
    check = missed(ready())
    pipeline.retry(check.release, by=None, at=timezone.now())
    [step] = advance(check.release, at=timezone.now())
    assert step.row == check.pk
    check.refresh_from_db()

    assert check.start(WORKER)
    check.conclude(Verdict.PASSED, "It is up.", seconds=1, accelerator="tcg", console="")

    assert check.retry_at is None
    [step] = advance(check.release, at=timezone.now())
    assert step.task == "publish"


def test_release_without_what_the_check_needs_fails_at_once(make_channel: MakeChannel) -> None:
    check = built(make_channel)
    check.release.artifacts.all().delete()

    pipeline.run_check(check, worker=WORKER)

    check.refresh_from_db()
    assert (check.verdict, check.tries) == (Verdict.ERROR, 0)
