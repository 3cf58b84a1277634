"""What must never be, the database refuses, whoever writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from builds.choices import BuildStatus, ReleaseStatus, System
from builds.models import Channel, Check, Head, LogChunk, Release, Target
from builds.tests.models.rows import DIGEST, NOW, artifact, build, channel, draft, published

pytestmark = pytest.mark.django_db


def refused(constraint: str, write: Callable[..., Any], *args: Any, **fields: Any) -> None:
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        write(*args, **fields)
    said = str(error.value)
    # SQLite names the columns of a broken unique index, every database the name of a check.
    assert constraint in said or "UNIQUE constraint failed" in said


def test_two_heads_for_one_channel_and_system() -> None:
    release = published(channel(), "1")
    refused(
        "one_head_per_channel_and_system",
        Head.objects.create,
        channel=release.channel,
        system=release.system,
        release=release,
        moved_at=NOW,
    )


def test_artifact_of_no_bytes() -> None:
    refused("artifact_is_not_empty", artifact, draft(channel()), size=0)


@pytest.mark.parametrize(
    "digest", ["", DIGEST[:-1], DIGEST.upper(), DIGEST + "0", "g" * 64, DIGEST + "\n"]
)
def test_digest_that_is_not_64_hex_digits(digest: str) -> None:
    of = draft(channel())
    with (
        pytest.raises(Exception, match=r"artifact_digest_is_sha256|too long"),
        transaction.atomic(),
    ):
        artifact(of, sha256=digest)


def test_two_artifacts_of_one_name_in_a_release() -> None:
    of = draft(channel())
    artifact(of)
    refused("one_artifact_per_name", artifact, of)


@pytest.mark.parametrize("first", [BuildStatus.QUEUED, BuildStatus.RUNNING])
def test_two_builds_of_one_variant_at_work_for_one_release(first: BuildStatus) -> None:
    of = draft(channel())
    running: dict[str, Any] = (
        {"lease_until": NOW, "started_at": NOW} if first == BuildStatus.RUNNING else {}
    )
    build(of, status=first, **running)
    refused("one_active_build_per_variant", build, of, attempt=2)


def test_new_attempt_beside_an_ended_one_is_fine() -> None:
    of = draft(channel())
    build(of, status=BuildStatus.FAILED)
    assert build(of, attempt=2).pk


def test_running_build_without_a_lease() -> None:
    refused("running_build_has_a_lease", build, draft(channel()), status=BuildStatus.RUNNING)


def test_two_drafts_for_one_channel_and_system() -> None:
    of = channel()
    draft(of)
    draft(of, System.AARCH64)
    refused("one_draft_per_channel_and_system", draft, of)


def test_two_releases_for_one_slot() -> None:
    of = channel()
    draft(of, slot_at=NOW, status=ReleaseStatus.FAILED)
    refused("one_release_per_slot", draft, of, slot_at=NOW)


def test_two_releases_of_one_version_or_number() -> None:
    of = channel()
    published(of, "1")
    refused("one_release_per_version", draft, of, version="1")
    refused("one_release_per_sequence", draft, of, version="2", sequence=1)


def test_published_release_without_version_number_and_time() -> None:
    refused("published_release_is_whole", draft, channel(), status=ReleaseStatus.PUBLISHED)


@pytest.mark.parametrize("name", ["download", "latest"])
def test_channel_with_a_name_that_urls_need(name: str) -> None:
    refused("channel_name_is_not_reserved", channel, name)


def test_two_default_channels() -> None:
    channel("a", is_default=True)
    refused("one_default_channel", channel, "b", is_default=True)


@pytest.mark.parametrize(
    ("constraint", "make"),
    [
        ("release_system_is_known", lambda: draft(channel(), "riscv64-linux")),
        ("release_status_is_known", lambda: draft(channel(), status="done")),
        ("release_revision_is_hex", lambda: draft(channel(), revision="HEAD")),
        ("build_status_is_known", lambda: build(draft(channel()), status="done")),
        ("build_variant_is_known", lambda: build(draft(channel()), "floppy")),
        ("artifact_role_is_known", lambda: artifact(draft(channel()), role="x")),
        ("check_verdict_is_known", lambda: check(draft(channel()), verdict="fine")),
        ("target_system_is_known", lambda: target(channel(), system="x")),
        ("channel_slot_weekday_is_a_day", lambda: channel(slot_weekday=7)),
    ],
)
def test_value_outside_a_closed_set(constraint: str, make: Callable[[], Any]) -> None:
    refused(constraint, make)


def test_log_chunk_written_twice() -> None:
    of = build(draft(channel()))
    LogChunk.objects.create(build=of, number=0, first_line=1, text="a\n")
    refused(
        "one_chunk_per_number", LogChunk.objects.create, build=of, number=0, first_line=1, text="b"
    )


def check(of: Release, **fields: Any) -> Check:
    return Check.objects.create(release=of, name="boot", **fields)


def target(of: Channel, **fields: Any) -> Target:
    values = {"system": System.X86_64, "variant": "netboot", "attribute": "x"} | fields
    return Target.objects.create(channel=of, **values)
