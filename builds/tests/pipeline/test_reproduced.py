"""A release is built again by a real Nix: reproduced, different with evidence, or not told."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from builds import pipeline, tasks
from builds.builders.nix_again import Different
from builds.choices import CheckName, Origin, ReleaseStatus, System, Verdict
from builds.models import Build, Channel, Check, Release, Transfer, Worker
from builds.pipeline import advance, documents, naming
from builds.pipeline.advance import TOLD_WITHIN
from builds.pipeline.checks import diffoscope
from builds.pipeline.checks.difference import files_of
from builds.pipeline.checks.difference import told as told_of
from builds.pipeline.checks.reproduced import of_outputs
from builds.pipeline.retention import orphans
from builds.storage import artifacts
from builds.tests.builders.flakes import NETBOOT, SYSTEM
from builds.tests.factories import NOW, ChannelFactory, CheckFactory, ReleaseFactory
from builds.tests.pipeline.conftest import MakeChannel, draft_of
from builds.tests.pipeline.driver import drive, take
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db(transaction=True)

# What two builds have in common goes first, so that it is known where they part.
RANDOM = NETBOOT.replace(
    "echo initrd > $out/initrd-demo",
    'read id < /proc/sys/kernel/random/uuid; echo "<b>same</b> $id" > $out/initrd-demo',
)
PARTS_AT = len("<b>same</b> ")


def made(make_channel: MakeChannel, script: str = NETBOOT, *, gates: bool = False) -> Release:
    """A release of this image that has been through all its checks, of which one builds again."""
    return drive(drafted(make_channel, script, gates=gates))


def built(make_channel: MakeChannel, script: str = NETBOOT) -> Release:
    """The same that waits for that check."""
    release = drafted(make_channel, script)
    for _ in ("plan", "build"):
        for step in advance(release, at=timezone.now()):
            take(step)
        release.refresh_from_db()
    return release


def drafted(make_channel: MakeChannel, script: str, *, gates: bool = False) -> Release:
    channel = make_channel(netboot=script)
    name = "checks" if gates else "checks_told"
    Channel.objects.filter(pk=channel.pk).update(**{name: [CheckName.REPRODUCED]})
    channel.refresh_from_db()
    return draft_of(channel)


def check_of(release: Release) -> Check:
    return release.checks.get(name=CheckName.REPRODUCED)


def told(release: Release) -> dict[str, object]:
    """What the manifest says of the check."""
    data = artifacts().read(release.key(naming.manifest_name(release.system)))
    [check] = json.loads(data or b"")["checks"]
    return dict(check)


def forgotten(build: Build) -> None:
    """Let this machine's store know nothing of a build, as that of another machine."""
    derived = [build.store_path, build.derivation]
    subprocess.run(["nix-store", "--delete", *derived], capture_output=True, check=True)


def test_reproduced_release_says_so_in_manifest_api_page_and_badge(
    make_channel: MakeChannel, client: Client
) -> None:
    release = made(make_channel)

    check = check_of(release)
    assert (release.status, check.verdict) == (ReleaseStatus.PUBLISHED, Verdict.PASSED), (
        check.reason
    )
    assert check.reason.startswith(
        "All 2 files are the same to the byte: built again on the worker that had built it by nix"
    )
    assert check.reason.endswith(", 1 derivation of it.")
    in_manifest = told(release)
    assert (in_manifest["verdict"], in_manifest["comparison"]) == ("passed", check.comparison)
    assert check.comparison == {
        "where": "same-worker",
        "builder_version": release.builds.get().builder_version,
        "files": 2,
        "derivations": 1,
        "differences": [],
    }
    [said] = client.get(f"/api/v1/latest/demo/{SYSTEM}/").json()["checks"]
    assert (said["name"], said["verdict"]) == ("reproduced", "passed")
    assert b"reproduced" in client.get(release.get_absolute_url()).content
    badge = client.get(f"/badge/demo/{SYSTEM}/reproduced.json").json()
    assert (badge["message"], badge["color"]) == ("reproduced", "brightgreen")


def test_image_that_comes_out_otherwise_differs_and_the_difference_is_kept(
    make_channel: MakeChannel, client: Client
) -> None:
    assert shutil.which(diffoscope.PROGRAM), "the tests' system packages have it"
    release = made(make_channel, RANDOM)

    check = check_of(release)
    assert (release.status, check.verdict) == (ReleaseStatus.PUBLISHED, Verdict.DIFFERS)
    [difference] = check.comparison["differences"]
    initrd = release.artifacts.get(role="initrd")
    assert difference["name"] == initrd.name
    assert (difference["size"], difference["sha256"]) == (initrd.size, initrd.sha256)
    assert difference["second_sha256"] not in {"", initrd.sha256}
    assert told(release)["verdict"] == "differs"

    start = f"check-reproduced-{SYSTEM}.{check.fence}-"
    assert check.kept_files == [f"{start}diffoscope.txt", f"{start}initrd-demo"]
    report, second = (client.get(f"/checks/{check.pk}/kept/{n}") for n in check.kept_files)
    assert "-<b>same</b> " in report.content.decode()
    assert second.headers["Repr-Digest"]
    pairs = zip(artifacts().read(initrd.key) or b"", second.content, strict=True)
    offset = next(at for at, (one, other) in enumerate(pairs) if one != other)
    assert difference["offset"] == offset >= PARTS_AT
    assert check.reason.startswith(f"initrd-demo differs from byte {offset} on: built again on")
    assert documents.digest(second.content) == difference["second_sha256"]
    assert report["Content-Type"] == "text/plain; charset=utf-8"
    assert second["Content-Type"] == "application/octet-stream"
    for answer in (report, second):
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert client.get(f"/checks/{check.pk}/kept/{initrd.name}").status_code == 404
    page = client.get(release.get_absolute_url()).content.decode()
    assert "&lt;b&gt;same&lt;/b&gt;" in page
    assert "<b>same" not in page
    assert f"/checks/{check.pk}/kept/{start}diffoscope.txt" in page
    badge = client.get(f"/badge/demo/{SYSTEM}/reproduced.json").json()
    assert (badge["message"], badge["color"]) == ("differs", "red")
    assert not Path(f"{release.builds.get().store_path}.check").exists()


def test_what_is_kept_stays_as_long_as_the_release(make_channel: MakeChannel) -> None:
    release = made(make_channel, RANDOM)
    later = timezone.now() + timedelta(days=2)
    keys = {release.key(name) for name in check_of(release).kept_files}

    assert keys
    assert not keys & set(orphans(at=later))
    Check.objects.update(comparison={})
    assert keys <= set(orphans(at=later))


def test_channel_that_wants_it_publishes_nothing_that_differs(make_channel: MakeChannel) -> None:
    release = made(make_channel, RANDOM, gates=True)
    assert release.status == ReleaseStatus.FAILED
    assert release.reason.startswith("The check reproduced failed: initrd-demo differs from byte")
    assert "second" in release.excerpt


def test_without_diffoscope_digests_and_offset_are_kept(
    make_channel: MakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffoscope, "PROGRAM", "diffoscope-that-is-not-there")
    check = check_of(made(make_channel, RANDOM))
    assert check.verdict == Verdict.DIFFERS
    assert [name.endswith("initrd-demo") for name in check.kept_files] == [True]
    [difference] = check.comparison["differences"]
    assert f"initrd-demo differs from byte {difference['offset']} on." in check.console


@pytest.mark.parametrize(
    ("script", "worker", "verdict"),
    [
        (NETBOOT, "that-host:8", "passed"),
        (RANDOM, "that-host:8", "differs"),
        (NETBOOT, "this-host:9", "passed"),
    ],
)
def test_worker_without_the_build_builds_it_anew_and_compares_with_the_storage(
    make_channel: MakeChannel, script: str, worker: str, verdict: str
) -> None:
    release = built(make_channel, script)
    release.builds.update(worker="this-host:7")
    forgotten(release.builds.get())

    assert pipeline.run_check(check_of(release), worker=worker)

    check = check_of(release)
    assert check.verdict == verdict, check.reason
    # Where it was built before, what it is made of may still lie there: Nix builds that again.
    expected = ("another-worker", 0) if worker.startswith("that") else ("same-worker", 1)
    assert (check.comparison["where"], check.comparison["derivations"]) == expected
    initrd = release.artifacts.get(role="initrd")
    found = [each["sha256"] for each in check.comparison["differences"]]
    assert found == ([] if verdict == "passed" else [initrd.sha256])


def test_worker_without_nix_holds_nothing_back_and_says_that_it_could_not_look(
    make_channel: MakeChannel, settings: LazySettings, client: Client
) -> None:
    release = built(make_channel)
    settings.NIX_PROGRAM = "/nowhere/nix"
    drive(release)
    assert release.status == ReleaseStatus.PUBLISHED
    assert check_of(release).verdict == Verdict.ERROR
    assert "not installed" in check_of(release).reason
    badge = client.get(f"/badge/demo/{SYSTEM}/reproduced.json").json()
    assert (badge["message"], badge["color"]) == ("could not be checked", "lightgrey")


@pytest.mark.parametrize("kept", [True, False])
def test_output_that_nix_finds_to_differ_never_passes(tmp_path: Path, *, kept: bool) -> None:
    first, second = (tmp_path / f"{'x' * 32}-image{end}" for end in ("", ".check"))
    for folder in (first, second):
        folder.mkdir()
        (folder / "kexec").write_text("same bytes")
    (second / "kexec").chmod(0o755)
    [found] = of_outputs([Different("x.drv", first, second if kept else None)])
    assert (found.sentence, found.offset) == ("image differs", None)


def test_links_of_a_build_are_compared_and_never_followed(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, target in ((first, "/etc/hostname"), (second, "/etc/passwd")):
        folder.mkdir()
        (folder / "kernel").symlink_to(target)
    [found] = told_of(files_of(first, second, "x"))
    assert (found.pair.name, found.first.size, found.second.size) == ("kernel", None, None)
    assert documents.digest(b"/etc/passwd") == found.second.sha256


# Who builds it again.


@pytest.fixture
def waiting(db: None) -> Check:
    """A check that waits, of a release that the machine "one" has built."""
    channel = ChannelFactory(checks=[], checks_told=[CheckName.REPRODUCED])
    release = ReleaseFactory(channel=channel, pinned=True)
    release.builds.update(status="succeeded", worker="one:12")
    Check.objects.plan(release, [CheckName.REPRODUCED], gates=True, holds_back=False)
    [step] = advance(release, at=timezone.now())
    assert step.queue == System(release.system).queue
    pipeline.note_sent(step, at=timezone.now())
    check: Check = release.checks.get()
    return check


def here(name: str, queue: str = f"build.{System.X86_64}") -> None:
    Worker.objects.arrive(name, [queue], 1, at=timezone.now())


def test_builder_takes_it_at_once_where_nobody_else_builds(waiting: Check) -> None:
    now = timezone.now()
    here("long@one")
    here("more@one")
    here("boots@two", "check")
    here("arm@two", System.AARCH64.queue)
    assert not pipeline.left_to_others(waiting, "one:13", at=now)


def test_builder_leaves_it_to_another_machine_for_a_while(
    waiting: Check, settings: LazySettings
) -> None:
    settings.REBUILD_ELSEWHERE_SECONDS = 20  # less than a worker may be silent
    here("long@one")
    here("long@two")
    now = waiting.sent_at
    assert now is not None
    assert pipeline.left_to_others(waiting, "one:13", at=now)
    assert not pipeline.left_to_others(waiting, "two:7", at=now)
    patience = timedelta(seconds=settings.REBUILD_ELSEWHERE_SECONDS)
    assert pipeline.left_to_others(waiting, "one:13", at=now + patience / 4)
    # Sent again meanwhile: that does not begin the while anew.
    [step] = advance(waiting.release, at=now, again=True)
    pipeline.note_sent(step, at=now + patience / 4)
    waiting.refresh_from_db()
    assert not pipeline.left_to_others(waiting, "one:13", at=now + patience)


def test_message_that_came_to_the_builder_goes_round(
    waiting: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[pipeline.Step] = []
    monkeypatch.setattr(tasks, "enqueue", sent.extend)
    waiting.release.builds.update(worker=f"{socket.gethostname()}:1")
    here("long@elsewhere")
    tasks.check(waiting.pk)
    waiting.refresh_from_db()
    assert waiting.verdict == Verdict.PENDING
    [step] = sent
    assert (step.row, step.queue, step.delay) == (
        waiting.pk,
        System.X86_64.queue,
        tasks.LEFT_FOR,
    )


@pytest.mark.parametrize("origin", sorted(Origin.arriving() | {Origin.HYDRA}))
def test_what_was_built_elsewhere_is_not_checked_here(origin: Origin, client: Client) -> None:
    channel = ChannelFactory(
        name="demo", checks_told=[CheckName.REPRODUCED], checks_after=[CheckName.REPRODUCED]
    )
    release = ReleaseFactory(channel=channel, published=True, origin=origin, source="x")
    variants = [build.variant for build in release.builds.all()]
    assert CheckName.planned(["reproduced"], release.system, variants) == ["reproduced"]
    assert CheckName.planned(["reproduced"], release.system, variants, origin) == []
    badge = client.get("/badge/demo/x86_64-linux/reproduced.json").json()
    assert (badge["message"], badge["color"]) == ("not checked here", "lightgrey")
    assert b"built again: not checked here" in client.get(release.get_absolute_url()).content


def test_what_another_portal_has_compared_is_not_checked_here(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", published=True)
    CheckFactory(release=release, name=CheckName.REPRODUCED, passed=True)
    assert "reproduced" in text_of(client.get(release.get_absolute_url())).split("Boot it")[0]
    Transfer.objects.create(release=release, kind="followed", source="x", taken_at=NOW)
    badge = client.get("/badge/demo/x86_64-linux/reproduced.json").json()
    assert badge["message"] == "not checked here"
    assert "built again: not checked here" in text_of(client.get(release.get_absolute_url()))


def test_release_waits_for_a_worker_so_long_and_no_longer(waiting: Check) -> None:
    assert waiting.sent_at is not None
    soon, late = (waiting.sent_at + TOLD_WITHIN + timedelta(minutes=n) for n in (-1, 1))
    assert [step.task for step in advance(waiting.release, at=soon, again=True)] == ["check"]
    assert [step.task for step in advance(waiting.release, at=late, again=True)] == ["publish"]
    waiting.refresh_from_db()
    assert waiting.verdict == Verdict.ERROR


def test_later_check_without_a_worker_keeps_no_other_waiting(db: None) -> None:
    after = [CheckName.NETBOOT_BIOS, CheckName.REPRODUCED]
    before = NOW - timedelta(days=1)
    old = ReleaseFactory(channel__checks_after=after, published=True, stored=True, at=before)
    new = ReleaseFactory(channel__checks_after=after, published=True, stored=True, at=NOW)
    old.checks.get(name=CheckName.NETBOOT_BIOS).delete()

    [step] = pipeline.reconcile(at=timezone.now())
    assert Check.objects.get(pk=step.row).release == new
    here("long@one")
    [step] = pipeline.reconcile(at=timezone.now())
    assert (Check.objects.get(pk=step.row).release, step.queue) == (old, System.X86_64.queue)


def test_boots_and_builds_wait_apart(waiting: Check) -> None:
    boot = CheckFactory(sent_at=NOW)
    other = CheckFactory(
        release=ReleaseFactory(system=System.AARCH64), name=CheckName.REPRODUCED, sent_at=NOW
    )
    found = Check.objects.like(boot.pk)
    assert boot in found
    assert waiting not in found
    assert list(Check.objects.like(waiting.pk)) == [waiting]
    assert list(Check.objects.like(other.pk)) == [other]
