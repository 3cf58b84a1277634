"""A lost database comes back from the storage: the same record, pages and bytes."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from builds import catalogue, pipeline
from builds.choices import ReleaseStatus, Verdict
from builds.emulator.watch import BootResult
from builds.management.commands.prepare import first_drafts
from builds.models import Artifact, Channel, Check, Head, Release
from builds.pipeline.checks.reproduced import Compared
from builds.pipeline.checks.running import record
from builds.pipeline.retention import orphans
from builds.storage import artifacts
from builds.tests.builders.flakes import NETBOOT, SYSTEM
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import channel
from builds.tests.pipeline.conftest import MakeChannel, draft_of, make_channel, write_flake
from builds.tests.pipeline.driver import drive
from builds.tests.retention.conftest import FILES, stored_keys
from builds.tests.web.reading import text_of

__all__ = ["make_channel"]

CATALOGUE = settings.BASE_DIR / "images" / "catalogue.toml"
MOVING = [
    f"/api/v1/latest/demo/{SYSTEM}/",
    *(
        f"/releases/download/demo/{name}"
        for name in ("SHA256SUMS", f"netboot-{SYSTEM}.ipxe", "initrd-demo", "releases.json")
    ),
]
FOUND = ("name", "gates", "verdict", "reason", "seconds", "accelerator", "memory", "picture",
         "comparison")  # fmt: skip
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_cache(settings: Any) -> None:
    settings.NIX_OFFLINE = True


def restore() -> list[str]:
    return [str(outcome) for outcome in pipeline.restore(at=timezone.now())]


def lose_the_database() -> None:
    Head.objects.all().delete()
    Release.objects.all().delete()
    Channel.objects.all().delete()


def paths_of(release: Release) -> list[str]:
    """The addresses of a release's page, files and papers."""
    keys = [artifact.key for artifact in release.artifacts.all()]
    keys += [release.key(name) for name in release.papers]
    return [release.get_absolute_url(), *(f"/{key}" for key in keys)]


def what_is_seen(client: Client, paths: list[str]) -> dict[str, str]:
    """What is answered there; the ids of builds are left out of pages."""
    seen = {}
    for path in paths:
        answer = client.get(path)
        is_page = answer.get("Content-Type", "").startswith("text/html")
        text = re.sub(r"Build \d+", "Build", text_of(answer)) if is_page else repr(body(answer))
        seen[path] = f"{answer.status_code} {text}"
    return seen


def test_lost_database_comes_back_with_the_same_record_pages_and_bytes(
    storage_kind: str, make_channel: MakeChannel, client: Client, tmp_path: Path
) -> None:
    of = make_channel()
    releases = [drive(draft_of(of))]
    for week in ("two", "three"):
        write_flake(tmp_path / "demo", {"netboot": NETBOOT.replace("echo initrd", f"echo {week}")})
        releases.append(drive(draft_of(of)))
    assert [release.status for release in releases] == [ReleaseStatus.PUBLISHED] * 3
    releases[1].withdraw("it eats disks", at=timezone.now())
    pipeline.keep(releases[0], "the first one", by=None, at=timezone.now())
    pipeline.write_moving("demo")
    paths = [path for release in releases for path in paths_of(release)] + MOVING
    before, keys = what_is_seen(client, paths), stored_keys()
    assert len(before) == len(paths) == 3 * (2 + FILES) + len(MOVING)
    lose_the_database()
    assert client.get(MOVING[0]).status_code == 404

    told = restore()

    assert [line for line in told if not line.startswith("restored")] == []
    assert what_is_seen(client, paths) == before
    assert stored_keys() == keys
    kept, withdrawn, latest = Release.objects.order_by("sequence")
    assert Head.objects.get().release == latest
    assert withdrawn.reason == "it eats disks"
    assert kept.kept_reason == "the first one"
    assert list(orphans(at=timezone.now(), older_than=timedelta(0))) == []


def test_what_was_found_after_publishing_comes_back_with_the_pictures(storage_kind: str) -> None:
    release = stored_release(channel(), "1.0")
    check = Check.objects.create(release=release, name="least-ram-netboot", gates=False)
    assert check.start("worker")
    png = b"\x89PNG\r\n"
    record(check, BootResult(Verdict.PASSED, 4.2, "tcg", "It boots.", "up", png, 160))
    compared = Check.objects.create(release=release, name="reproduced", gates=False)
    assert compared.start("worker")
    comparison = {"where": "same-worker", "differences": []}
    kept = {"diffoscope.txt": b"They differ."}
    found = Compared(Verdict.DIFFERS, 1, "", "", "", comparison=comparison, kept=kept)
    record(compared, found)
    assert compared.kept_files == [f"check-reproduced-{SYSTEM}.1-diffoscope.txt"]
    told = list(Check.objects.order_by("name").values_list(*FOUND))
    memory = list(Artifact.objects.order_by("name").values_list("name", "least_memory"))
    assert 160 in dict(memory).values()
    lose_the_database()

    restore()

    assert list(Check.objects.order_by("name").values_list(*FOUND)) == told
    assert list(Artifact.objects.order_by("name").values_list("name", "least_memory")) == memory
    assert list(orphans(at=timezone.now(), older_than=timedelta(0))) == []


def test_restoring_twice_does_it_once(storage_kind: str) -> None:
    stored_release(channel(), "1.0")
    lose_the_database()
    restore()
    rows = list(Release.objects.values())

    assert restore() == ["known: demo 1.0 x86_64-linux"]
    assert list(Release.objects.values()) == rows


def test_release_with_one_wrong_byte_is_refused_and_the_others_come_back(
    storage_kind: str,
) -> None:
    of = channel()
    first, second = stored_release(of, "1.0"), stored_release(of, "2.0")
    change_one_byte(second.key("initrd-x86_64-linux"))
    lose_the_database()

    told = restore()

    assert any(
        line.startswith("refused: demo 2.0 x86_64-linux: initrd-x86_64-linux: Its SHA-256")
        for line in told
    ), told
    assert "refused: the head of demo on x86_64-linux: 1.0, not 2.0" in told
    assert Head.objects.get().release.version == first.version
    assert not Release.objects.filter(version="2.0").exists()
    assert list(orphans(at=timezone.now(), older_than=timedelta(0))) == [], "nobody deletes it"
    change_one_byte(second.key("initrd-x86_64-linux"))
    assert restore() == [
        "known: demo 1.0 x86_64-linux",
        "restored: demo 2.0 x86_64-linux, published",
    ]
    assert Head.objects.get().release.version == "2.0"
    assert Release.objects.get(version="2.0").published_at == second.published_at


LIES: dict[str, dict[str, Any]] = {
    "another channel": {"channel": "other"},
    "another version": {"version": "9.0"},
    "no system": {"system": "z80"},
    "a name that leaves the folder": {"artifacts": [{"name": "../../x", "sha256": "0" * 64}]},
    "a later format": {"format": 99},
    "no number": {"sequence": None},
}


@pytest.mark.parametrize("lie", LIES)
def test_manifest_that_lies_is_refused(lie: str) -> None:
    release = stored_release(channel(), "1.0")
    key = release.key("release-x86_64-linux.json")
    record = json.loads(artifacts().read(key) or b"")
    artifacts().replace(key, json.dumps(record | LIES[lie]).encode())
    lose_the_database()

    told = restore()

    assert any(line.startswith("refused: ") and "1.0" in line for line in told), told
    assert not Release.objects.exists()


def test_record_of_an_expired_release_comes_back_without_files() -> None:
    of = channel()
    stored_release(of, "1.0"), stored_release(of, "2.0")
    old = Release.objects.get(version="1.0")
    Release.objects.filter(pk=old.pk).update(
        status=ReleaseStatus.EXPIRED, expired_at=timezone.now(), files_removed_at=timezone.now()
    )
    pipeline.write_moving("demo")
    for file in list(artifacts().walk("releases/download/demo/1.0")):
        artifacts().delete(file.key)
    lose_the_database()

    restore()

    back = Release.objects.get(version="1.0")
    assert (back.status, back.sequence) == (ReleaseStatus.EXPIRED, 1)
    assert back.published_at == old.published_at
    assert back.files_removed_at is not None


def test_without_the_history_the_latest_record_and_the_files_tell_the_times() -> None:
    of = channel()
    first, second = stored_release(of, "1.0"), stored_release(of, "2.0")
    artifacts().delete("releases/download/demo/releases.json")
    lose_the_database()

    restore()

    back = Release.objects.get(version="2.0")
    assert back.published_at == second.published_at
    assert Head.objects.get().release == back
    assert Release.objects.get(version="1.0").published_at != first.published_at


def test_command_takes_the_channel_from_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    release = stored_release(channel("demo"), "1.0")
    stored_release(channel("other"), "1.0")
    lose_the_database()

    call_command("restore")

    assert "restored: demo 1.0 x86_64-linux, published" in capsys.readouterr().out
    assert Channel.objects.get(name="demo").targets.exists()
    assert not Channel.objects.get(name="other").is_active
    change_one_byte(release.key("initrd-x86_64-linux"))
    lose_the_database()
    with pytest.raises(CommandError, match="refused"):
        call_command("restore")


def test_first_start_beside_a_full_storage_builds_nothing_before_a_restore() -> None:
    stored_release(channel("demo"), "1.0")
    lose_the_database()
    catalogue.load(CATALOGUE)
    assert first_drafts() == []

    restore()

    assert first_drafts() == []
    lose_the_database()
    for file in list(artifacts().walk("")):
        artifacts().delete(file.key)
    catalogue.load(CATALOGUE)
    assert len(first_drafts()) == 2


def change_one_byte(key: str) -> None:
    data = bytearray(artifacts().read(key) or b"")
    data[len(data) // 2] ^= 1
    artifacts().replace(key, bytes(data))
