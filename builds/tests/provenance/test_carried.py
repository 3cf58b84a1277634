"""Provenance and SBOM go where their release goes: restore, scrub, export, follow, collect."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from builds import pipeline
from builds.models import BuildRecord, Channel, Head, Release
from builds.pipeline.collect import _remove
from builds.pipeline.retention import orphans
from builds.pipeline.scrub import Pace
from builds.storage import artifacts
from builds.tests.mirrors.conftest import LOOPBACK, Tree, become_another_portal, copy_to
from builds.tests.models.rows import NOW
from builds.tests.provenance.conftest import PROVENANCE, SBOM, stored, told_release
from builds.tests.provenance.test_signature import changed_payload, other_key
from builds.tests.retention.conftest import stored_keys

pytestmark = pytest.mark.django_db
BOTH = (PROVENANCE, SBOM)


def lose_the_database() -> None:
    for model in (Head, Release, Channel):
        model.objects.all().delete()


def restored() -> list[str]:
    return [str(outcome) for outcome in pipeline.restore(at=timezone.now())]


def test_restore_brings_them_back() -> None:
    release = told_release()
    before = {name: stored(release, name) for name in BOTH}
    papers = release.papers
    lose_the_database()

    assert not [line for line in restored() if line.startswith("refused")]

    back = Release.objects.get()
    assert back.papers == papers
    assert {name: stored(back, name) for name in BOTH} == before
    assert list(orphans(at=timezone.now(), older_than=NOW - NOW)) == []


@pytest.mark.parametrize("change", [changed_payload, other_key])
def test_restore_refuses_a_forged_provenance(change: type) -> None:
    release = told_release()
    artifacts().replace(release.key(PROVENANCE), change(stored(release, PROVENANCE)))
    lose_the_database()

    assert any(PROVENANCE in line for line in restored() if line.startswith("refused"))
    assert not Release.objects.exists()


@pytest.mark.parametrize("name", BOTH)
def test_restore_refuses_a_release_that_lost_one(name: str) -> None:
    release = told_release()
    artifacts().delete(release.key(name))
    lose_the_database()

    assert any(name in line for line in restored() if line.startswith("refused"))


@pytest.mark.parametrize("name", BOTH)
def test_scrub_finds_a_changed_one(name: str) -> None:
    release = told_release()
    artifacts().replace(release.key(name), stored(release, name) + b" ")

    found = pipeline.scrub([release], at=timezone.now(), pace=Pace(None))

    assert [damage.name for damage in found.damaged] == [name]


def test_export_and_import_carry_them(tmp_path: Path) -> None:
    release = told_release()
    before = {name: stored(release, name) for name in BOTH}
    path = tmp_path / "demo.tar"
    call_command("export", "demo", str(path), stdout=io.StringIO())
    become_another_portal()
    assert stored_keys() == set()

    call_command("import", str(path), stdout=io.StringIO())

    back = Release.objects.get()
    assert {name: stored(back, name) for name in BOTH} == before
    assert {*BOTH} <= back.papers.keys()


def test_follow_carries_them_and_refuses_a_forged_one(
    tmp_path: Path, settings: LazySettings
) -> None:
    settings.MIRROR_NETWORKS = LOOPBACK
    settings.DATA_DIR = tmp_path / "data"
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = 3600, 1800
    release = told_release()
    before = {name: stored(release, name) for name in BOTH}
    keys = {name: release.key(name) for name in BOTH}
    with Tree.open(tmp_path / "there") as tree:
        copy_to(tree)
        become_another_portal()
        good = tree.path(keys[PROVENANCE]).read_bytes()
        tree.path(keys[PROVENANCE]).write_bytes(changed_payload(good))
        with pytest.raises(CommandError):
            call_command("follow", tree.url, "--channel", "demo", stdout=io.StringIO())
        assert not Release.objects.exists()
        # With pinned keys the envelope has to be signed by one of them, too.
        tree.path(keys[PROVENANCE]).write_bytes(other_key(good))
        pinned = str(tree.path("keys/allowed_signers"))
        follow = ("follow", tree.url, "--channel", "demo", "--allowed-signers", pinned)
        with pytest.raises(CommandError):
            call_command(*follow, stdout=io.StringIO())
        tree.path(keys[PROVENANCE]).write_bytes(good)
        call_command(*follow, stdout=io.StringIO())
    back = Release.objects.get()
    assert {name: stored(back, name) for name in BOTH} == before
    assert {*BOTH} <= back.papers.keys()


def test_collect_takes_them_with_the_files() -> None:
    release = told_release()
    told_release("2.0")
    release.refresh_from_db()
    release.withdraw("it is over", at=NOW)
    pipeline.write_moving("demo")

    assert _remove(release, NOW)

    assert not [key for key in stored_keys() if "/1.0/" in key]
    assert BuildRecord.objects.count() == 1
    assert json.loads(stored(Release.objects.get(version="2.0"), SBOM))
