"""`manage.py adopt`: folders of files that were built elsewhere become releases, or are refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from builds import pipeline
from builds.choices import CheckName, Origin, ReleaseStatus, System, Trigger, Variant, Verdict
from builds.models import Arrival, ArrivedPart, AuditEntry, Channel, Head, Release
from builds.pipeline import arriving, documents
from builds.storage import INCOMING, artifacts
from builds.tests.boot.rescue import tarball
from builds.tests.boots.drafts import build_image
from builds.tests.factories import ChannelFactory
from builds.tests.pipeline.driver import drive

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = "x86_64-linux"
REVISION = "b18a4b9" + "0" * 33
SCRIPT = "#!ipxe\nkernel bzImage init=/nix/store/x/init initrd=initrd quiet ${cmdline}\n"
NETBOOT = {
    f"bzImage-{SYSTEM}": "kernel",
    f"initrd-{SYSTEM}": "initrd",
    f"netboot-{SYSTEM}.ipxe": SCRIPT,
}


def folder_of(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def demo(*variants: Variant, **fields: Any) -> Channel:
    channel: Channel = ChannelFactory(
        name="demo",
        systems=[SYSTEM],
        variants=variants or (Variant.NETBOOT,),
        **{"checks": [], **fields},
    )
    return channel


def adopt(folder: Path, **options: Any) -> str:
    """What the command prints."""
    out = io.StringIO()
    given = {"named": "26.05.1", "revision": REVISION, **options}
    call_command("adopt", "demo", folder, stdout=out, **given)
    return out.getvalue()


def refusal(folder: Path, **options: Any) -> str:
    """Why the command refuses; then nothing is left of it."""
    with pytest.raises(CommandError) as caught:
        adopt(folder, **options)
    assert not Release.objects.filter(origin=Origin.ADOPTED).exists()
    assert not Arrival.objects.exists()
    assert not [*artifacts().walk(INCOMING)]
    return str(caught.value)


def test_folder_becomes_a_release_that_says_where_it_is_from(tmp_path: Path) -> None:
    demo()
    folder = folder_of(tmp_path / "mini-2026", NETBOOT | {"README": "hello", "log.txt": "x"})

    said = adopt(folder)
    release = drive(Release.objects.get())

    assert f"recognised: bzImage-{SYSTEM}, the kernel of netboot" in said
    assert "left out: README: not the name of an artifact" in said
    digest = hashlib.sha256(b"initrd").hexdigest()
    assert f"stored: initrd-{SYSTEM}, 6 bytes, sha256 {digest}" in said
    assert release.status == ReleaseStatus.PUBLISHED, release.reason
    assert (release.version, release.revision) == ("26.05.1", REVISION)
    assert (release.origin, release.source) == (Origin.ADOPTED, "mini-2026")
    [build] = release.builds.all()
    assert build.kernel_params == "init=/nix/store/x/init quiet"
    assert (build.derivation, build.sandboxed, build.closure_size) == ("", None, None)
    assert artifacts().read(release.key(f"initrd-{SYSTEM}")) == b"initrd"
    entry = AuditEntry.objects.get(act="trigger")
    assert entry.reason == "adopted from a folder: mini-2026"


def test_origin_is_told_wherever_the_release_is(client: Client, tmp_path: Path) -> None:
    demo()
    adopt(folder_of(tmp_path / "mini", NETBOOT), source="https://ci.example.org/run/7")
    release = drive(Release.objects.get())
    origin = {"kind": "adopted", "source": "https://ci.example.org/run/7"}

    page = client.get(release.get_absolute_url()).content.decode()
    latest = client.get(f"/api/v1/latest/demo/{SYSTEM}/").json()
    manifest = json.loads(artifacts().read(release.key(f"release-{SYSTEM}.json")) or b"")
    mirror = json.loads(artifacts().read(f"releases/download/demo/latest-{SYSTEM}.json") or b"")

    assert "adopted from ci.example.org, not built here" in page
    assert 'href="https://ci.example.org/run/7"' in page
    assert latest["origin"] == manifest["origin"] == mirror["origin"] == origin


def test_origin_comes_back_with_a_lost_database(tmp_path: Path) -> None:
    demo()
    adopt(folder_of(tmp_path / "mini", NETBOOT))
    release = drive(Release.objects.get())
    manifest = artifacts().read(release.key(f"release-{SYSTEM}.json"))
    Head.objects.all().delete()
    Release.objects.all().delete()

    outcomes = [str(outcome) for outcome in pipeline.restore(at=timezone.now())]

    back = Release.objects.get()
    assert not [line for line in outcomes if line.startswith("refused")], outcomes
    assert (back.origin, back.source) == (Origin.ADOPTED, "mini")
    assert documents.manifest(back) == manifest


def test_source_that_is_a_script_is_no_link(client: Client, tmp_path: Path) -> None:
    demo()
    adopt(folder_of(tmp_path / "mini", NETBOOT), source="javascript:alert(1)")
    release = drive(Release.objects.get())
    page = client.get(release.get_absolute_url()).content.decode()
    assert "adopted from javascript:alert(1), not built here" in page
    assert 'href="javascript' not in page


def outside(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_text("s")
    (folder / f"initrd-{SYSTEM}").unlink()
    (folder / f"initrd-{SYSTEM}").symlink_to(secret)


def a_pipe(folder: Path) -> None:
    (folder / f"initrd-{SYSTEM}").unlink()
    os.mkfifo(folder / f"initrd-{SYSTEM}")


def a_folder(folder: Path) -> None:
    (folder / f"initrd-{SYSTEM}").unlink()
    (folder / f"initrd-{SYSTEM}").mkdir()


def lying_sums(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  initrd-{SYSTEM}\n")


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no initrd": (lambda f: (f / f"initrd-{SYSTEM}").unlink(), "offers no initrd"),
    "no kernel beside it": (lambda f: (f / f"bzImage-{SYSTEM}").unlink(), "offers no kernel"),
    "an empty initrd": (lambda f: (f / f"initrd-{SYSTEM}").write_text(""), "empty (0 bytes)"),
    "a link that leads out": (outside, "leads out of the output"),
    "a pipe": (a_pipe, "not a regular file"),
    "a folder for a file": (a_folder, "is a directory"),
    "sums that say another digest": (lying_sums, "was declared"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_folder_is_refused_by_name_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    break_it, words = HOSTILE[case]
    demo()
    folder = folder_of(tmp_path / "mini", NETBOOT)
    break_it(folder)
    assert words in refusal(folder)


def test_what_is_not_said_or_wrong_is_refused(tmp_path: Path) -> None:
    demo()
    folder = folder_of(tmp_path / "mini", NETBOOT)
    assert "say it with --version" in refusal(folder, named="")
    assert "can't be a version" in refusal(folder, named="../up")
    assert "no revision" in refusal(folder, revision="main")
    assert "is no folder" in refusal(tmp_path / "nowhere")
    assert "not built for 'aarch64-linux'" in refusal(folder, system="aarch64-linux")
    assert "holds no file" in refusal(folder_of(tmp_path / "none", {"a": "b"}))


def test_draft_in_the_making_is_not_joined(tmp_path: Path) -> None:
    pipeline.trigger(demo(), [System(SYSTEM)], why=Trigger.ADMIN)
    assert "is in the making" in refusal(folder_of(tmp_path / "mini", NETBOOT))


def test_missing_variant_wants_to_be_meant(tmp_path: Path) -> None:
    demo(Variant.NETBOOT, Variant.ISO)
    folder = folder_of(tmp_path / "mini", NETBOOT)

    assert "also has iso" in refusal(folder)
    adopt(folder, partial=True)

    assert drive(Release.objects.get()).status == ReleaseStatus.PUBLISHED


def test_what_the_release_can_not_have_is_left_out_by_name(tmp_path: Path) -> None:
    demo()
    iso = f"nixos-installer-{SYSTEM}.iso"
    said = adopt(folder_of(tmp_path / "mini", NETBOOT | {iso: "iso", "initrd-aarch64-linux": "i"}))
    assert f"left out: {iso}: demo has no iso" in said
    assert f"left out: initrd-aarch64-linux: not for {SYSTEM}" in said


def test_unknown_revision_is_made_of_the_content(tmp_path: Path) -> None:
    demo()
    adopt(folder_of(tmp_path / "mini", NETBOOT), revision="")
    assert len(Release.objects.get().revision) == 40


def test_listing_gives_files_of_other_names_the_names_of_artifacts(tmp_path: Path) -> None:
    demo(Variant.NETBOOT, Variant.KEXEC_INSTALLER)
    names = {"bzImage": "kernel", "initrd": "initrd", "netboot.ipxe": "ipxe", "k.tar.gz": "tarball"}
    folder = folder_of(tmp_path / "out", dict.fromkeys(names, SCRIPT))
    (folder / "k.tar.gz").write_bytes(tarball())
    support = folder_of(folder / "nix-support", {"image.json": '{"kernel_version": "6.12.9"}'})
    lines = [f"file {role} {folder}/{name}" for name, role in names.items()]
    (support / "hydra-build-products").write_text("\n".join([*lines, f"doc manual {folder}"]))

    said = adopt(folder)
    release = drive(Release.objects.get())

    assert "a doc manual is not handed out" in said
    assert {artifact.name for artifact in release.artifacts.all()} == {
        *NETBOOT,
        f"nixos-kexec-installer-{SYSTEM}.tar.gz",
    }
    assert {build.kernel_version for build in release.builds.all()} == {"6.12.9"}


def test_parts_are_collected_once_the_release_is_out(tmp_path: Path) -> None:
    demo()
    adopt(folder_of(tmp_path / "mini", NETBOOT))
    assert not [*arriving.done_with(at=timezone.now())], "a draft waits for them"
    release = drive(Release.objects.get())

    done = [str(act) for act in pipeline.collect(at=timezone.now() + timedelta(minutes=1))]

    assert [line for line in done if "its release is made" in line]
    assert not Arrival.objects.exists()
    assert not ArrivedPart.objects.exists()
    assert not [*artifacts().walk(INCOMING)]
    assert artifacts().exists(release.key(f"initrd-{SYSTEM}"))


def test_file_that_changed_since_it_arrived_is_not_given_out(
    tmp_path: Path, storage_folder: Path
) -> None:
    demo()
    adopt(folder_of(tmp_path / "mini", NETBOOT))
    part = ArrivedPart.objects.get(file__role="initrd")
    (storage_folder / part.key).write_bytes(b"other!")

    release = drive(Release.objects.get())

    assert release.status == ReleaseStatus.FAILED
    assert "has changed" in release.reason


def test_tarball_that_leads_out_fails_the_release_and_none_of_it_is_stored(tmp_path: Path) -> None:
    demo(Variant.KEXEC_INSTALLER)
    name = f"nixos-kexec-installer-{SYSTEM}.tar.gz"
    folder = folder_of(tmp_path / "out", {})
    (folder / name).write_bytes(tarball(**{"kexec/../../etc/cron.d/x": "* * * * * root id"}))
    adopt(folder)

    release = drive(Release.objects.get())

    assert release.status == ReleaseStatus.FAILED
    assert f"{name} is no tarball to unpack: 'kexec/../../etc/cron.d/x'" in release.reason
    assert [stored.key for stored in artifacts().walk("") if stored.key.endswith(name)] == []


@pytest.mark.timeout(300)
def test_mini_image_of_a_folder_boots_and_is_published(tmp_path: Path) -> None:
    system = System.AARCH64  # the quicker one to boot
    image = build_image(system, Variant.NETBOOT)
    folder = tmp_path / "from-ci"
    folder.mkdir()
    for _, path in image.files:
        shutil.copy(path, folder / path.name)
    script = f"#!ipxe\nkernel Image-{system} {image.params} ${{cmdline}}\n"
    (folder / f"netboot-{system}.ipxe").write_text(script)
    ChannelFactory(
        name="demo",
        systems=[system],
        variants=[Variant.NETBOOT],
        checks=[CheckName.NETBOOT_DIRECT],
    )

    adopt(folder, named=image.version)
    release = drive(Release.objects.get())

    [check] = release.checks.all()
    assert (check.name, check.verdict) == (CheckName.NETBOOT_DIRECT, Verdict.PASSED), check.console
    assert release.status == ReleaseStatus.PUBLISHED
    assert (release.origin, release.source) == (Origin.ADOPTED, "from-ci")


@pytest.mark.timeout(300)
def test_store_path_tells_its_version_and_is_named_whole() -> None:
    image = build_image(System.AARCH64, Variant.KEXEC_BUNDLE)
    [(_, path)] = image.files
    output = Path("/nix/store") / path.parts[3]
    ChannelFactory(
        name="demo", systems=["aarch64-linux"], variants=[Variant.KEXEC_BUNDLE], checks=[]
    )

    adopt(output, named="")
    release = drive(Release.objects.get())

    assert release.status == ReleaseStatus.PUBLISHED, release.reason
    assert release.version == image.version
    assert release.source == str(output)
    [build] = release.builds.all()
    assert build.declared_memory == image.memory
