"""Cancel, retry, withdraw, roll back, publish: what they do, and what they refuse and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from builds import pipeline
from builds.builders.base import BuildCancelled, BuildOutput, Product
from builds.choices import BuildStatus, ReleaseStatus, Role, System, Urgency, Variant, Verdict
from builds.models import AuditEntry, Build, Head, NotAllowed, Release
from builds.pipeline import Step, advance
from builds.pipeline.log import BuildLog
from builds.pipeline.store import drop, set_aside
from builds.storage import artifacts
from builds.tests.builders.flakes import NETBOOT, SYSTEM
from builds.tests.factories import (
    BuildFactory,
    ChannelFactory,
    CheckFactory,
    ReleaseFactory,
    UserFactory,
)
from builds.tests.pipeline.conftest import TARBALL, MakeChannel, draft_of, write_flake
from builds.tests.pipeline.driver import drive, take

pytestmark = pytest.mark.django_db(transaction=True)
X86 = System.X86_64


def cancel(row: Build | Release) -> None:
    pipeline.cancel(row, "Not today.", by=None, at=timezone.now())


def retry(row: Build | Release) -> Release:
    return pipeline.retry(row, by=None, at=timezone.now())


def test_cancelling_a_waiting_build_ends_its_release_with_the_reason() -> None:
    release = ReleaseFactory(pinned=True)
    admin = UserFactory(admin=True)

    pipeline.cancel(release.builds.first(), "Not today.", by=admin, at=timezone.now())

    release.refresh_from_db()
    assert release.status == ReleaseStatus.CANCELLED
    assert release.reason == "Not today."
    assert set(release.builds.values_list("status", flat=True)) == {BuildStatus.CANCELLED}
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.user_pk, entry.act) == (admin.username, admin.pk, "cancel")
    assert entry.reason == "Not today."


def test_cancelled_running_build_ends_with_the_reason_that_was_given() -> None:
    build = BuildFactory()
    assert build.start("worker-1")

    cancel(Build.objects.get(pk=build.pk))
    build.end_cancelled("The build was cancelled.")

    assert build.status == BuildStatus.CANCELLED
    assert build.error == "Not today."


def test_cancel_that_comes_too_late_for_the_build_still_ends_the_release() -> None:
    build = BuildFactory()
    build.start("worker-1")
    cancel(Build.objects.get(pk=build.pk))
    output = BuildOutput((), "/nix/store/x.drv", "/nix/store/x", 1, "1", "", "", True, "nix")

    build.succeed(output, {})
    advance(build.release, at=timezone.now())

    assert build.error == ""
    assert build.release.status == ReleaseStatus.CANCELLED


def test_what_has_ended_is_not_cancelled() -> None:
    release = ReleaseFactory(published=True)
    with pytest.raises(NotAllowed, match="is published: there is nothing to cancel"):
        cancel(release)
    with pytest.raises(NotAllowed, match="has ended already: succeeded"):
        cancel(release.builds.first())


def test_cancel_during_an_upload_leaves_nothing_in_the_storage(
    tmp_path: Path, storage_folder: Path
) -> None:
    build = BuildFactory(running=True)
    products = tuple(product(tmp_path / name, role) for name, role in FILES.items())
    blocks = iter(range(5))  # the kernel takes three, the initrd is cut in its midst

    def tick() -> None:
        if next(blocks, None) is None:
            raise BuildCancelled("The build was cancelled.")

    output = output_with(products)
    with pytest.raises(BuildCancelled):
        set_aside(build, output, BuildLog(build), tick)
    drop(build, output)

    assert [path for path in storage_folder.rglob("*") if path.is_file()] == []


FILES = {"bzImage-x86_64-linux": Role.KERNEL, "initrd-x86_64-linux": Role.INITRD}


def product(path: Path, role: Role) -> Product:
    path.write_bytes(bytes(3 * 2**20))
    return Product(path.name, role, path, path.stat().st_size)


def output_with(products: tuple[Product, ...]) -> BuildOutput:
    return BuildOutput(products, "/nix/store/x.drv", "/nix/store/x", 1, "1", "", "", True, "nix")


def test_failed_release_is_retried_within_itself_and_published(
    make_channel: MakeChannel,
) -> None:
    channel = make_channel(netboot=NETBOOT, kexec_installer=TARBALL)
    release = draft_of(channel)
    take(Step("plan", release.pk))
    kexec = release.builds.get(variant=Variant.KEXEC_INSTALLER)
    take(Step("build", release.builds.get(variant=Variant.NETBOOT).pk))
    kexec.start("worker-1")
    kexec.fail("The mirror was wrong.", kind="DerivationFailed", excerpt="", may_retry=False)
    release = drive(release)
    assert release.status == ReleaseStatus.FAILED
    before = release.version

    assert retry(kexec) == release
    release = drive(Release.objects.get(pk=release.pk))

    assert release.status == ReleaseStatus.PUBLISHED, release.reason
    assert release.version == before
    assert release.builds.filter(variant=Variant.NETBOOT).count() == 1, "it had succeeded"
    assert release.builds.filter(variant=Variant.KEXEC_INSTALLER).count() == 2
    assert release.reason == ""


def test_retry_takes_what_was_stopped_along_and_goes_first() -> None:
    release = ReleaseFactory(failed=True)
    first, second = release.builds.order_by("pk")
    Build.objects.filter(pk=second.pk).update(status=BuildStatus.CANCELLED)

    retry(first)

    release.refresh_from_db()
    assert release.is_draft
    assert release.urgency == Urgency.ADMIN
    assert set(release.builds.queued().values_list("variant", "attempt", "by_hand")) == {
        (first.variant, 2, True),
        (second.variant, 2, True),
    }


def test_release_that_only_a_check_held_back_runs_that_check_again() -> None:
    release = ReleaseFactory(pinned=True, queue=False)
    BuildFactory(release=release, succeeded=True)
    good = CheckFactory(release=release, passed=True)
    bad = CheckFactory(release=release, failed=True)
    release.fail("The check failed.", at=timezone.now())

    retry(release)

    for check in (good, bad):
        check.refresh_from_db()
    assert (good.verdict, bad.verdict) == (Verdict.PASSED, Verdict.PENDING)
    assert [step.task for step in advance(release, at=timezone.now())] == ["check"]


def test_rebuilt_files_are_checked_again() -> None:
    release = ReleaseFactory(pinned=True, queue=False)
    BuildFactory(release=release, cancelled=True)
    check = CheckFactory(release=release, passed=True)
    release.cancel("Not today.", at=timezone.now())

    retry(release)

    check.refresh_from_db()
    assert check.verdict == Verdict.PENDING


def published_since(release: Release) -> None:
    ReleaseFactory(channel=release.channel, published=True, at=timezone.now() + timedelta(hours=1))


def in_the_making(release: Release) -> None:
    ReleaseFactory(channel=release.channel)


def still_running(release: Release) -> None:
    release.builds.update(
        status=BuildStatus.RUNNING, started_at=timezone.now(), lease_until=timezone.now()
    )


@pytest.mark.parametrize(
    ("happened", "word"),
    [
        (published_since, "A newer release of .* is published"),
        (in_the_making, "Another release of .* is in the making"),
        (still_running, "still being stopped"),
    ],
)
def test_retry_that_comes_too_late_is_refused(
    happened: Callable[[Release], None], word: str
) -> None:
    release = ReleaseFactory(failed=True)
    happened(release)
    with pytest.raises(NotAllowed, match=word):
        retry(release)
    release.refresh_from_db()
    assert release.status == ReleaseStatus.FAILED


def test_what_succeeded_or_was_skipped_is_not_retried() -> None:
    with pytest.raises(NotAllowed, match="succeeded in build"):
        retry(ReleaseFactory(published=True).builds.first())
    with pytest.raises(NotAllowed, match="is published: there is nothing to retry"):
        retry(ReleaseFactory(published=True))
    with pytest.raises(NotAllowed, match="has not moved"):
        retry(ReleaseFactory(skipped=True))


def test_release_whose_source_was_not_found_is_planned_again(
    make_channel: MakeChannel, tmp_path: Path
) -> None:
    channel = make_channel()
    (tmp_path / "demo" / "flake.nix").rename(tmp_path / "away")
    release = drive(draft_of(channel))
    assert release.status == ReleaseStatus.FAILED
    (tmp_path / "away").rename(tmp_path / "demo" / "flake.nix")

    retry(release)

    assert drive(release).status == ReleaseStatus.PUBLISHED


def test_trigger_of_a_variant_retries_it_in_the_newest_release() -> None:
    release = ReleaseFactory(channel__name="demo", failed=True)
    call_command("trigger", "demo", "--system", X86, "--variant", "netboot")
    release.refresh_from_db()
    assert release.is_draft


def test_trigger_of_a_variant_of_a_published_release_says_the_way_out() -> None:
    ReleaseFactory(channel__name="demo", published=True)
    with pytest.raises(CommandError, match="never changes; leave the variant out and add --force"):
        call_command("trigger", "demo", "--system", X86, "--variant", "netboot")
    with pytest.raises(CommandError, match="there is no variant 'floppy'"):
        call_command("trigger", "demo", "--variant", "floppy")
    with pytest.raises(CommandError, match="iso is not part of"):
        call_command("trigger", "demo", "--system", X86, "--variant", "iso")


def test_rollback_moves_the_head_and_what_moves(
    make_channel: MakeChannel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = make_channel()
    first = drive(draft_of(channel))
    write_flake(tmp_path / "demo", {"netboot": NETBOOT})
    second = drive(draft_of(channel))
    assert Head.objects.get().release == second

    call_command("rollback", "demo", "--system", SYSTEM)

    assert Head.objects.get().release == first
    latest = artifacts().read(f"releases/download/demo/latest-{SYSTEM}.json")
    assert latest is not None
    assert f'"version":"{first.version}"' in latest.decode()
    assert f"{first} is the latest again" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"no published release for .* before"):
        call_command("rollback", "demo", "--system", SYSTEM)
    call_command("rollback", "demo", "--system", SYSTEM, "--to", str(second.version))
    assert Head.objects.get().release == second
    second.refresh_from_db()
    assert second.is_published


def test_withdraw_from_the_command_line_moves_the_head_back_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    channel = ChannelFactory(name="demo")
    first = ReleaseFactory(channel=channel, published=True)
    second = ReleaseFactory(channel=channel, published=True)

    call_command("withdraw", "demo", second.version, "--system", X86, "--reason", "it panics")

    second.refresh_from_db()
    assert (second.status, second.reason) == (ReleaseStatus.WITHDRAWN, "it panics")
    assert f"the latest is {first}" in capsys.readouterr().out
    with pytest.raises(CommandError, match="is withdrawn: nothing was done"):
        call_command("withdraw", "demo", second.version, "--system", X86, "--reason", "again")
    with pytest.raises(CommandError, match="has no release 'nope'"):
        call_command("withdraw", "demo", "nope", "--system", X86, "--reason", "x")


def test_publish_by_hand_finishes_a_draft_and_refuses_an_unfinished_one(
    make_channel: MakeChannel, capsys: pytest.CaptureFixture[str]
) -> None:
    release = draft_of(make_channel())
    take(Step("plan", release.pk))
    with pytest.raises(CommandError, match="is not finished: it waits for netboot"):
        call_command("publish", "demo", "--system", SYSTEM)
    take(Step("build", Build.objects.get().pk))

    call_command("publish", "demo", "--system", SYSTEM)

    assert Head.objects.get().release == release
    call_command("publish", "demo", str(Head.objects.get().release.version), "--system", SYSTEM)
    assert "was published already" in capsys.readouterr().out
    with pytest.raises(CommandError, match="in the making"):
        call_command("publish", "demo", "--system", SYSTEM)


def test_planning_stops_when_the_release_is_cancelled(make_channel: MakeChannel) -> None:
    release = draft_of(make_channel())
    Release.objects.get(pk=release.pk).cancel("Not today.", at=timezone.now())

    pipeline.pin(release, pipeline.builder(), at=timezone.now())

    release.refresh_from_db()
    assert (release.status, release.reason) == (ReleaseStatus.CANCELLED, "Not today.")


def test_check_of_a_cancelled_release_stops_without_a_verdict() -> None:
    release = ReleaseFactory(pinned=True, queue=False)
    check = CheckFactory(release=release, name="boot-netboot-direct")
    build = BuildFactory(release=release, succeeded=True)
    for name, role in FILES.items():
        stored = artifacts().write_once(release.key(name), b"no kernel")
        release.artifacts.create(
            name=name, role=role, build=build, variant="netboot", size=9, sha256=stored.sha256
        )
    Release.objects.get(pk=release.pk).cancel("Not today.", at=timezone.now())

    pipeline.run_check(check, worker="worker-1")

    check.refresh_from_db()
    assert (check.verdict, check.lease_until) == (Verdict.PENDING, None)
