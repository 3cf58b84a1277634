"""Checks that are made once a release is published: they hold nothing back, and never push in."""

from __future__ import annotations

import json

import pytest
from django.conf import LazySettings
from django.utils import timezone

from builds import pipeline, tasks
from builds.choices import CheckName, ReleaseStatus, System, Variant, Verdict
from builds.models import Check, Release
from builds.pipeline import documents
from builds.pipeline.checks.memory import last_measured, memory_for, note_least_memory
from builds.pipeline.watch import is_unwanted
from builds.tests.factories import (
    NOW,
    ArtifactFactory,
    BuildFactory,
    ChannelFactory,
    CheckFactory,
    ReleaseFactory,
)

pytestmark = pytest.mark.django_db

LATER = [CheckName.NETBOOT_BIOS, CheckName.ISO_CD_UEFI, CheckName.LEAST_RAM_NETBOOT]


def published(system: System = System.X86_64) -> Release:
    """A release of a channel with later checks; the ISO is not built of it."""
    channel = ChannelFactory(checks_after=[CheckName.NETBOOT_DIRECT, *LATER])
    release: Release = ReleaseFactory(
        channel=channel, system=system, published=True, stored=True, at=NOW
    )
    return release


def later(release: Release) -> list[str]:
    return [check.name for check in Check.objects.later().filter(release=release).order_by("pk")]


def test_publishing_lets_the_later_checks_wait_that_apply_and_were_not_made() -> None:
    assert later(published()) == [CheckName.NETBOOT_BIOS, CheckName.LEAST_RAM_NETBOOT]
    assert later(published(System.AARCH64)) == [CheckName.LEAST_RAM_NETBOOT]


def test_one_later_check_at_a_time_is_handed_out() -> None:
    release = published()
    [step] = pipeline.advance(release, at=NOW)
    assert (step.task, step.queue) == ("check", "check")
    check = Check.objects.get(pk=step.row)
    assert check.name == CheckName.NETBOOT_BIOS

    assert check.start("worker")
    assert pipeline.advance(release, at=NOW) == []


@pytest.mark.parametrize("busy", ["a build", "a check"])
def test_later_check_waits_while_a_draft_has_work_to_do(busy: str) -> None:
    release = published()
    if busy == "a build":
        BuildFactory(running=True)
    else:
        CheckFactory(sent_at=NOW)
    assert pipeline.advance(release, at=NOW) == []


def test_later_check_makes_room_for_one_that_a_draft_waits_for() -> None:
    release = published()
    check = Check.objects.later().filter(release=release)[0]
    assert check.start("worker")
    assert not is_unwanted(check)()
    CheckFactory()
    assert not is_unwanted(check)(), "nobody could take that one yet"
    CheckFactory(sent_at=NOW)
    assert is_unwanted(check)()


def test_nothing_is_checked_later_where_the_settings_say_so(settings: LazySettings) -> None:
    settings.CHECK_LATER = False
    assert later(published()) == []


def test_reconcile_hands_out_a_later_check_that_was_lost() -> None:
    release = published()
    Check.objects.later().update(sent_at=NOW)
    assert pipeline.advance(release, at=NOW) == []
    [step] = pipeline.reconcile(at=timezone.now())
    assert Check.objects.get(pk=step.row).release == release


def test_failed_later_check_leaves_the_release_published() -> None:
    release = published()
    check = Check.objects.later().filter(release=release)[0]
    assert check.start("worker")
    check.conclude(
        Verdict.HUNG, "It said nothing.", seconds=3, accelerator="tcg", console="", memory=320
    )
    pipeline.advance(release, at=NOW)
    release.refresh_from_db()
    assert release.status == ReleaseStatus.PUBLISHED


def test_worker_makes_a_later_check_and_its_failure_is_shown_only() -> None:
    release = published()
    release.artifacts.filter(role="kernel").delete()
    first, second = Check.objects.later().filter(release=release).order_by("pk")

    tasks.check(first.pk)

    first.refresh_from_db()
    release.refresh_from_db()
    assert (first.verdict, release.status) == (Verdict.ERROR, ReleaseStatus.PUBLISHED)
    assert first.reason == "The release has no kernel of netboot to boot."
    [step] = pipeline.advance(release, at=NOW)
    assert step.row == second.pk
    assert b"The release has no kernel" in (documents.history_record(release.channel.name) or b"")


def test_later_check_of_a_withdrawn_release_is_not_wanted() -> None:
    release = published()
    assert Check.objects.wanted().later().filter(release=release).exists()
    release.withdraw("It was wrong.", at=NOW)
    assert not Check.objects.wanted().later().filter(release=release).exists()
    assert pipeline.advance(release, at=NOW) == []


def test_checks_that_cannot_be_made_on_a_system_are_not_planned() -> None:
    names = [CheckName.NETBOOT_BIOS, CheckName.NETBOOT_UEFI, CheckName.ISO_DISK_BIOS, "own-check"]
    variants = [Variant.NETBOOT]
    planned = CheckName.planned(names, System.AARCH64, variants)
    assert planned == [CheckName.NETBOOT_UEFI, "own-check"]
    assert CheckName.planned(names, System.X86_64, variants) == [*names[:2], "own-check"]


def test_measured_ram_is_told_in_the_latest_record_and_gives_the_next_release_its_ram() -> None:
    release = published()
    check = Check.objects.get(release=release, name=CheckName.LEAST_RAM_NETBOOT)

    note_least_memory(check, 1024)

    initrd = release.artifacts.get(role="initrd")
    assert initrd.least_memory == 1024
    told = {initrd.name: 1024}
    assert documents.least_memory(release) == told
    assert json.loads(documents.latest_record(release))["least_memory_mib"] == told
    draft = ReleaseFactory(channel=release.channel, pinned=True)
    ArtifactFactory(release=draft, build=draft.builds.first())
    assert last_measured(draft, Variant.NETBOOT) == 1024
    # A quarter more, and what firmware and loader hold.
    assert memory_for(draft, Variant.NETBOOT) == 1440
    draft.builds.update(declared_memory=2560)
    assert memory_for(draft, Variant.NETBOOT) == 2720


def test_other_checks_measure_nothing() -> None:
    release = published()
    note_least_memory(Check.objects.get(release=release, name=CheckName.NETBOOT_BIOS), 320)
    assert not release.artifacts.filter(least_memory__isnull=False).exists()
