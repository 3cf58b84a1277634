"""The way of a release with real Nix builds: what is published, and what is held back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from django.utils import timezone

from builds import pipeline
from builds.choices import BuildStatus, ReleaseStatus
from builds.models import Artifact, Build, Head, Release
from builds.pipeline import Step, advance
from builds.storage import artifacts
from builds.tests.builders.flakes import NETBOOT, SYSTEM
from builds.tests.pipeline.conftest import (
    TARBALL,
    VERSION,
    MakeChannel,
    draft_of,
    tarball_of,
    write_flake,
)
from builds.tests.pipeline.driver import drive, take

pytestmark = pytest.mark.django_db(transaction=True)


def test_release_is_published_with_every_file_and_its_digest(make_channel: MakeChannel) -> None:
    channel = make_channel(netboot=NETBOOT, kexec_installer=TARBALL)

    release = drive(draft_of(channel))

    assert release.status == ReleaseStatus.PUBLISHED, release.reason
    assert release.version == VERSION
    assert release.sequence == 1
    assert Head.objects.get(channel=channel, system=SYSTEM).release == release
    stored = {artifact.name: artifact for artifact in release.artifacts.all()}
    assert set(stored) == {
        "bzImage-demo",
        "initrd-demo",
        "nixos-kexec-installer-demo.tar.gz",
        f"netboot-{SYSTEM}.ipxe",
    }
    for artifact in stored.values():
        data = artifacts().read(artifact.key)
        assert data is not None
        assert hashlib.sha256(data).hexdigest() == artifact.sha256
        assert len(data) == artifact.size


def test_storage_alone_is_a_mirror_of_the_release(
    make_channel: MakeChannel, storage_folder: Path
) -> None:
    release = drive(draft_of(make_channel()))
    folder = storage_folder / "releases" / "download" / "demo"

    sums = (folder / VERSION / f"SHA256SUMS-{SYSTEM}").read_text()
    for line in sums.splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / VERSION / name).read_bytes()).hexdigest() == digest
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        path = folder / name if name.endswith(".ipxe") else folder / VERSION / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    manifest = json.loads((folder / VERSION / f"release-{SYSTEM}.json").read_text())
    assert manifest["version"] == VERSION
    assert manifest["sequence"] == 1
    assert {a["name"] for a in manifest["artifacts"]} == {a.name for a in release.artifacts.all()}
    latest = json.loads((folder / f"latest-{SYSTEM}.json").read_text())
    assert all((folder / artifact["url"]).is_file() for artifact in latest["artifacts"])


def test_scripts_name_the_files_of_one_release_by_relative_urls(
    make_channel: MakeChannel, storage_folder: Path
) -> None:
    drive(draft_of(make_channel()))
    folder = storage_folder / "releases" / "download" / "demo"
    name = f"netboot-{SYSTEM}.ipxe"

    moving, immutable = (folder / name).read_text(), (folder / VERSION / name).read_text()

    params = "init=/nix/store/x/init nohibernate loglevel=4 ${cmdline}"
    assert f"kernel {VERSION}/bzImage-demo initrd=initrd-demo {params}" in moving
    assert f"initrd --name initrd-demo {VERSION}/initrd-demo" in moving
    assert f"kernel bzImage-demo initrd=initrd-demo {params}" in immutable
    assert "initrd --name initrd-demo initrd-demo" in immutable
    assert moving.startswith("#!ipxe\n")


def test_same_revision_is_skipped_with_that_reason_unless_forced(
    make_channel: MakeChannel,
) -> None:
    channel = make_channel()
    first = drive(draft_of(channel))

    skipped = drive(draft_of(channel))
    forced = drive(draft_of(channel, forced=True))

    assert skipped.status == ReleaseStatus.CANCELLED
    assert "has not moved" in skipped.reason
    assert forced.status == ReleaseStatus.PUBLISHED
    assert forced.version == f"{first.version}-2"
    assert forced.sequence == 2


def test_revision_that_was_taken_back_does_not_come_back_by_itself(
    make_channel: MakeChannel, tmp_path: Path
) -> None:
    channel = make_channel()
    good = drive(draft_of(channel))
    write_flake(tmp_path / "demo", {"netboot": NETBOOT})
    bad = drive(draft_of(channel))
    assert bad.revision != good.revision

    pipeline.roll_back(good, "it does not boot", by=None, at=timezone.now())
    rolled_back = drive(draft_of(channel))
    pipeline.withdraw(bad, "it eats disks", by=None, at=timezone.now())
    withdrawn = drive(draft_of(channel))
    forced = drive(draft_of(channel, forced=True))
    unmoved = drive(draft_of(channel))

    assert (rolled_back.status, withdrawn.status) == ("cancelled", "cancelled")
    assert f"was rolled back from with {bad.version}" in rolled_back.reason
    assert f"was withdrawn with {bad.version}: it eats disks" in withdrawn.reason
    assert (forced.status, forced.revision) == (ReleaseStatus.PUBLISHED, bad.revision)
    assert "has not moved" in unmoved.reason, "forcing it makes it wanted again"


def test_source_that_goes_back_to_an_older_revision_is_built_again(
    make_channel: MakeChannel, tmp_path: Path
) -> None:
    channel = make_channel()
    first = drive(draft_of(channel))
    scripts = tmp_path / "demo" / "scripts" / "netboot.sh"
    text = scripts.read_text()
    scripts.write_text(f"# moved\n{text}")
    drive(draft_of(channel))
    scripts.write_text(text)

    again = drive(draft_of(channel))

    assert (again.status, again.revision) == (ReleaseStatus.PUBLISHED, first.revision)


FAILURES = {
    "a builder program that fails": ("echo no such header; exit 1", "no such header"),
    "a missing product": ("run mkdir -p $out; product kernel $out/bzImage-demo", "bzImage-demo"),
    "an empty product": (
        NETBOOT.replace("echo initrd >", ": >"),
        "initrd-demo",
    ),
    "a kernel without its initrd": (
        NETBOOT.replace("product initrd $out/initrd-demo", ""),
        "initrd",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failed_build_leaves_the_last_release_as_it_was(
    make_channel: MakeChannel, tmp_path: Path, case: str
) -> None:
    script, word = FAILURES[case]
    channel = make_channel()
    good = drive(draft_of(channel))
    files = {artifact.key: artifacts().read(artifact.key) for artifact in good.artifacts.all()}
    write_flake(tmp_path / "demo", {"netboot": script})

    bad = drive(draft_of(channel))

    assert bad.status == ReleaseStatus.FAILED
    assert word in f"{bad.reason} {bad.excerpt}"
    assert Head.objects.get(channel=channel, system=SYSTEM).release == good
    assert {key: artifacts().read(key) for key in files} == files


def test_broken_attribute_fails_the_release_before_anything_is_built(
    make_channel: MakeChannel,
) -> None:
    channel = make_channel()
    channel.targets.update(attribute="packages.no.such.image")

    release = drive(draft_of(channel))

    assert release.status == ReleaseStatus.FAILED
    assert "no.such.image" in release.reason + release.excerpt
    assert not release.builds.exists()


def test_one_variant_that_fails_holds_back_the_whole_release(make_channel: MakeChannel) -> None:
    channel = make_channel(netboot=NETBOOT, kexec_installer="exit 1")

    release = drive(draft_of(channel))

    assert release.status == ReleaseStatus.FAILED
    assert not Release.objects.published().exists()
    assert "kexec-installer failed" in release.reason


def test_tarball_that_leads_out_fails_its_build_and_is_not_stored(
    make_channel: MakeChannel,
) -> None:
    channel = make_channel(kexec_installer=tarball_of("kexec/../../x"))

    release = drive(draft_of(channel))

    assert release.status == ReleaseStatus.FAILED
    assert "is no tarball to unpack: 'kexec/../../x'" in release.reason
    assert not [*artifacts().walk("")]


def test_every_step_may_arrive_twice_and_is_done_once(make_channel: MakeChannel) -> None:
    release = draft_of(make_channel())
    while release.is_draft:
        for step in advance(release, at=timezone.now()):
            take(step)
            take(step)
        release.refresh_from_db()

    assert release.status == ReleaseStatus.PUBLISHED
    assert Build.objects.count() == 1
    assert release.sequence == 1


def test_leftover_of_an_attempt_that_died_before_its_rows_does_not_stop_the_next(
    make_channel: MakeChannel,
) -> None:
    release = draft_of(make_channel())
    take(Step("plan", release.pk))
    release.refresh_from_db()
    artifacts().write_once(release.key("bzImage-demo"), b"half a kernel")

    release = drive(release)

    assert release.status == ReleaseStatus.PUBLISHED
    assert artifacts().read(release.key("bzImage-demo")) == b"kernel\n"


def test_publish_that_broke_off_is_finished_by_reconcile(make_channel: MakeChannel) -> None:
    release = drive(draft_of(make_channel()))
    script = f"releases/download/demo/netboot-{SYSTEM}.ipxe"
    artifacts().delete(script)

    pipeline.reconcile(at=timezone.now())

    text = artifacts().read(script)
    assert text is not None
    assert str(release.version) in text.decode()


def test_withdrawn_release_gives_its_place_back_to_the_one_before(
    make_channel: MakeChannel, storage_folder: Path
) -> None:
    channel = make_channel()
    first = drive(draft_of(channel))
    second = drive(draft_of(channel, forced=True))

    second.withdraw("the kernel panics on AMD", at=timezone.now())
    pipeline.write_moving("demo")

    assert Head.objects.get(channel=channel, system=SYSTEM).release == first
    first.withdraw("so does this one", at=timezone.now())
    pipeline.write_moving("demo")
    assert not Head.objects.exists()
    assert not (storage_folder / "releases/download/demo" / f"latest-{SYSTEM}.json").exists()


def test_cancelled_while_waiting_never_runs(make_channel: MakeChannel) -> None:
    release = draft_of(make_channel())
    take(Step("plan", release.pk))
    build = Build.objects.get()

    build.cancel("not needed", at=timezone.now())
    take(Step("build", build.pk))

    build.refresh_from_db()
    assert build.status == BuildStatus.CANCELLED
    release = drive(release)
    assert release.status == ReleaseStatus.CANCELLED
    assert not Artifact.objects.exists()
