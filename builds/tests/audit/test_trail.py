"""The trail: written with the act or not at all, never changed, and wrong where it was forged."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from builds import pipeline
from builds.choices import Act, System, Trigger
from builds.models import Actor, AppendOnly, AuditEntry, AuditTip, NotAllowed, Release
from builds.tests.factories import BuildFactory, ChannelFactory, ReleaseFactory, UserFactory
from conftest import trail_is_open

pytestmark = pytest.mark.django_db

ANN = Actor("ann", 7)


def entries(count: int = 3) -> list[AuditEntry]:
    """A trail of so many entries."""
    channel = ChannelFactory(name="demo")
    return [
        AuditEntry.objects.record(
            Act.CHANGE, channel, by=ANN, at=timezone.now(), reason=f"reason {number}"
        )
        for number in range(count)
    ]


@contextmanager
def forger() -> Iterator[None]:
    """Somebody who has the database's own rights and takes the triggers away."""
    with trail_is_open():
        yield


def sql(statement: str, *values: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def faults() -> list[str]:
    return list(AuditEntry.objects.faults())


def test_entries_follow_one_another_without_gaps() -> None:
    first, second, third = entries()

    assert [entry.number for entry in (first, second, third)] == [1, 2, 3]
    assert first.previous == "0" * 64
    assert (second.previous, third.previous) == (first.digest, second.digest)
    assert faults() == []


def test_entry_names_who_what_and_why_and_outlives_its_row() -> None:
    user = UserFactory(username="ann")
    channel = ChannelFactory(name="demo", systems=[System.X86_64])
    [draft] = pipeline.trigger(channel, [System.X86_64], why=Trigger.ADMIN, by=user)
    name = str(draft)

    draft.delete()
    channel.delete()
    user.delete()

    entry = AuditEntry.objects.get()
    assert (entry.who, entry.act, entry.kind, entry.what) == ("ann", "trigger", "release", name)
    assert (entry.channel, entry.system) == ("demo", "x86_64-linux")
    assert faults() == []


def test_who_is_the_schedule_the_command_line_or_the_portal_itself() -> None:
    channel = ChannelFactory(name="demo", systems=[System.X86_64])
    now = timezone.now()
    [draft] = pipeline.trigger(channel, [System.X86_64], why=Trigger.SCHEDULE, slot_at=now)
    pipeline.trigger(channel, [System.X86_64], why=Trigger.ADMIN)
    draft.cancel("x", at=now)
    pipeline.trigger(channel, [System.X86_64], why=Trigger.FIRST_START)
    ReleaseFactory(published=True, stored=True)

    who = AuditEntry.objects.order_by("number").values_list("who", flat=True)
    command_line = f"command line as {getpass.getuser()}"
    assert list(who) == ["schedule", command_line, "first start", "the portal"]


ACTS: dict[str, Callable[[], object]] = {
    "withdraw": lambda: pipeline.withdraw(published(), "bad", by=ANN, at=timezone.now()),
    "roll-back": lambda: pipeline.roll_back(published(), "bad", by=ANN, at=timezone.now()),
    "keep": lambda: pipeline.keep(published(), "dear", by=ANN, at=timezone.now()),
    "stop-keeping": lambda: pipeline.stop_keeping(kept(), "bad", by=ANN, at=timezone.now()),
    "cancel": lambda: pipeline.cancel(BuildFactory(), "bad", by=ANN, at=timezone.now()),
    "retry": lambda: pipeline.retry(ReleaseFactory(failed=True), by=ANN, at=timezone.now()),
}


def published() -> Release:
    channel = ChannelFactory()
    release: Release = ReleaseFactory(channel=channel, published=True)
    ReleaseFactory(channel=channel, published=True)
    return release


def kept() -> Release:
    release = published()
    release.keep("dear", by=None, at=timezone.now())
    return release


@pytest.mark.parametrize("act", ACTS)
def test_every_act_leaves_one_entry(act: str) -> None:
    ACTS[act]()

    entry = AuditEntry.objects.get()
    assert (entry.who, entry.user_pk, entry.act) == ("ann", 7, act)


def test_act_that_is_refused_leaves_none() -> None:
    release = ReleaseFactory(failed=True)
    refused = (pipeline.withdraw, pipeline.roll_back, pipeline.stop_keeping, pipeline.cancel)
    for act in refused:
        with pytest.raises(NotAllowed):
            act(release, "bad", by=ANN, at=timezone.now())

    assert not AuditEntry.objects.exists()


def test_act_whose_entry_can_not_be_written_does_not_happen() -> None:
    release = published()
    AuditTip.objects.create(pk=1, number=0, digest="not a digest")  # no entry can follow this

    with pytest.raises(DatabaseError), transaction.atomic():
        pipeline.withdraw(release, "bad", by=ANN, at=timezone.now())

    release.refresh_from_db()
    assert release.is_published


def test_rows_refuse_to_be_changed_or_removed() -> None:
    entry, *_ = entries()
    entry.reason = "another"
    with pytest.raises(AppendOnly):
        entry.save()
    with pytest.raises(AppendOnly):
        entry.delete()
    entries_now = AuditEntry.objects.all()
    for act in (
        partial(entries_now.update, reason="another"),
        entries_now.delete,
        partial(entries_now.bulk_create, [AuditEntry()]),
        partial(entries_now.bulk_update, [entry], ["reason"]),
    ):
        with pytest.raises(AppendOnly):
            act()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE builds_auditentry SET reason = 'another' WHERE number = 2",
        "UPDATE builds_auditentry SET reason = reason",
        "DELETE FROM builds_auditentry WHERE number = 3",
        "DELETE FROM builds_audittip",
        "UPDATE builds_audittip SET number = 1",
        "INSERT INTO builds_audittip (id, number, digest) VALUES (2, 0, '')",
    ],
)
def test_database_itself_refuses(statement: str) -> None:
    entries()

    with pytest.raises(DatabaseError), transaction.atomic():
        sql(statement)

    assert faults() == []
    assert AuditEntry.objects.count() == 3


@pytest.mark.parametrize(
    ("forgery", "fault"),
    [
        ("UPDATE builds_auditentry SET reason = 'x' WHERE number = 2", "entry 2 is not what was"),
        ("UPDATE builds_auditentry SET who = 'bob' WHERE number = 3", "entry 3 is not what was"),
        ("DELETE FROM builds_auditentry WHERE number = 2", "entries 2 to 2 are missing"),
        ("DELETE FROM builds_auditentry WHERE number = 3", "the end is missing or forged"),
        ("DELETE FROM builds_auditentry", "the end is missing or forged"),
    ],
)
def test_forgery_below_the_triggers_is_found(forgery: str, fault: str) -> None:
    entries()

    with forger():
        sql(forgery)

    assert any(fault in each for each in faults()), faults()
    with pytest.raises(CommandError):
        call_command("audit", "verify")


def test_entry_that_was_recomputed_no_longer_fits_the_next() -> None:
    entries()
    forged = AuditEntry.objects.get(number=2)
    forged.reason = "another"

    with forger():
        sql(
            "UPDATE builds_auditentry SET reason = %s, digest = %s WHERE number = 2",
            forged.reason,
            forged.content_digest(),
        )

    assert faults() == ["entry 3 does not follow entry 2 as that is now"]


def test_forger_who_mends_the_next_link_as_well_is_found_there() -> None:
    entries()
    forged = AuditEntry.objects.get(number=2)
    forged.reason = "another"
    digest = forged.content_digest()

    with forger():
        change = "UPDATE builds_auditentry SET reason = %s, digest = %s WHERE number = 2"
        sql(change, forged.reason, digest)
        sql("UPDATE builds_auditentry SET previous = %s WHERE number = 3", digest)

    assert faults() == ["entry 3 is not what was recorded"]


def test_verify_compares_with_an_end_that_was_noted_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    *_, last = entries()
    call_command("audit", "verify")
    assert f"3 entries, the last is 3:{last.digest}" in capsys.readouterr().out

    entries_after = AuditEntry.objects.record(
        Act.CHANGE, ChannelFactory(), by=ANN, at=timezone.now()
    )
    assert entries_after.number == 4
    call_command("audit", "verify", "--noted", f"3:{last.digest}")
    with pytest.raises(CommandError, match="entry 3 is another one than was noted"):
        call_command("audit", "verify", "--noted", f"3:{'0' * 64}")
    with pytest.raises(CommandError, match="NUMBER:DIGEST"):
        call_command("audit", "verify", "--noted", "three")
