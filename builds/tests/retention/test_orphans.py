"""Files that nothing names are found, and nothing else is taken for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from builds.models import Channel, Release
from builds.pipeline.retention import is_orphan, orphans
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.models.rows import NOW, channel, draft
from builds.tests.retention.conftest import FILES

pytestmark = pytest.mark.django_db
LATER = timedelta(days=2)


def found() -> list[str]:
    return list(orphans(at=datetime.now(UTC) + LATER))


def test_every_file_of_a_channel_is_named_by_something(storage_kind: str) -> None:
    stored_release(channel(), "1.0")

    assert found() == []


def test_file_without_a_row_is_an_orphan(storage_kind: str) -> None:
    stored_release(channel(), "1.0")
    for key in ("demo/1.0/core", "demo/2.0/initrd", "demo/readme", "gone/1.0/initrd"):
        artifacts().write_once(f"releases/download/{key}", b"x")

    assert {key.removeprefix("releases/download/") for key in found()} == {
        "demo/1.0/core",
        "demo/2.0/initrd",
        "demo/readme",
        "gone/1.0/initrd",
    }


def test_file_that_was_just_stored_is_no_orphan_yet(storage_kind: str) -> None:
    key = "releases/download/demo/1.0/initrd"
    artifacts().write_once(key, b"x")
    now = datetime.now(UTC)

    assert list(orphans(at=now)) == []
    assert list(orphans(at=now + timedelta(hours=1), older_than=timedelta(minutes=1))) == [key]


def test_file_of_a_draft_at_work_is_no_orphan() -> None:
    release = draft(channel(), version="1.0", pinned_at=NOW)
    key = release.key("initrd")
    artifacts().write_once(key, b"x")

    assert found() == []
    assert not is_orphan(key)

    release.fail("no space", at=NOW)
    assert found() == [key]
    assert is_orphan(key)


def test_file_of_a_release_whose_files_were_removed_is_an_orphan_again() -> None:
    release = stored_release(channel(), "1.0")
    release.heads.all().delete()
    release.withdraw("it eats disks", at=NOW)
    assert found() == []

    release.note_removed(at=NOW)

    assert len(found()) == FILES


def test_signature_beside_a_paper_is_no_orphan() -> None:
    release = stored_release(channel(), "1.0")
    assert artifacts().exists(release.key("SHA256SUMS-x86_64-linux.sig"))
    assert artifacts().exists("releases/download/demo/SHA256SUMS.minisig")

    assert found() == []


def test_release_that_the_database_lost_is_no_orphan() -> None:
    release = stored_release(channel(), "1.0")
    release.heads.all().delete()
    Release.objects.all().delete()
    Channel.objects.all().delete()

    assert found() == []
    assert not is_orphan(release.key("initrd-x86_64-linux"))
