"""The signer's word on what is the latest: of these heads, signed, and made anew in time."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from builds import pipeline, signing
from builds.boot.remote import Portal, PortalError
from builds.choices import System
from builds.models import SignedSums
from builds.pipeline import documents, naming
from builds.pipeline.reconcile import finish_moving
from builds.signing import Refused
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import channel
from builds.tests.signing.test_tools import minisign_accepts, ssh_accepts
from builds.tests.webs import MakeWeb, database_url, make_web

__all__ = ["database_url", "make_web"]

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "timestamp-x86_64-linux.json"
MANIFEST = "release-x86_64-linux.json"


def told() -> dict[str, object]:
    """What the storage says; the portal says the same."""
    data = artifacts().read(f"releases/download/demo/{NAME}") or b""
    assert body(Client().get(f"/releases/download/demo/{NAME}")) == data
    return dict(json.loads(data))


def test_timestamp_names_the_latest_and_readers_verify_it(client: Client, tmp_path: Path) -> None:
    of = channel()
    for number, version in enumerate(("1.0", "2.0"), 1):
        release = stored_release(of, version)
        said = told()
        assert (said["version"], said["sequence"]) == (version, number)
        manifest = artifacts().read(release.key(MANIFEST)) or b""
        assert said["manifest_sha256"] == documents.digest(manifest)
        made_at, over_at = (
            datetime.fromisoformat(str(said[name])) for name in ("made_at", "expires_at")
        )
        assert over_at - made_at == timedelta(days=14)
    for name in (*naming.timestamp_names("x86_64-linux"), *signing.PAPERS):
        folder = "keys" if name in signing.PAPERS else "releases/download/demo"
        (tmp_path / name).write_bytes(body(client.get(f"/{folder}/{name}")))
    assert ssh_accepts(tmp_path, NAME)
    assert minisign_accepts(tmp_path, NAME)
    pipeline.withdraw(release, "it panics", by=None, at=timezone.now())
    assert told()["version"] == "1.0"


def test_reconcile_makes_it_anew_every_day_though_nothing_is_new() -> None:
    stored_release(channel(), "1.0")
    before = told()
    finish_moving()
    assert told() == before, "not every minute"
    SignedSums.objects.update(signed_at=timezone.now() - timedelta(hours=25), files={})
    finish_moving()
    after = told()
    assert SignedSums.objects.get().signed_at > timezone.now() - timedelta(minutes=1)
    assert {**after, "made_at": 0, "expires_at": 0} == {**before, "made_at": 0, "expires_at": 0}
    assert str(after["made_at"]) >= str(before["made_at"])


def test_heads_with_the_same_bytes_are_told_apart() -> None:
    release = stored_release(channel(), "1.0")
    sums = artifacts().read("releases/download/demo/SHA256SUMS")
    before = documents.heads_digest([release])
    release.sequence = 2
    assert documents.moving_sums([release]) == sums
    assert documents.heads_digest([release]) != before


@pytest.mark.parametrize("change", [(b"1.0", b"0.9"), (b'"sequence":1', b'"sequence":2')])
def test_head_whose_manifest_is_another_one_gets_no_timestamp(change: tuple[bytes, bytes]) -> None:
    release = stored_release(channel(), "1.0")
    data = artifacts().read(release.key(MANIFEST)) or b""
    artifacts().replace(release.key(MANIFEST), data.replace(*change))
    with pytest.raises(Refused, match="no release key that the root key names has signed it"):
        signing.sign_moving("demo")


def test_well_signed_manifest_of_another_release_gets_no_timestamp() -> None:
    of = channel()
    first, second = stored_release(of, "1.0"), stored_release(of, "2.0")
    for end in ("", *signing.SUFFIXES):
        paper = artifacts().read(first.key(f"{MANIFEST}{end}")) or b""
        artifacts().replace(second.key(f"{MANIFEST}{end}"), paper)
    with pytest.raises(Refused, match="is that of another release"):
        signing.sign_moving("demo")


def test_boot_command_tells_a_frozen_portal_from_a_calm_one(
    make_web: MakeWeb, settings: LazySettings
) -> None:
    settings.MANIFEST_EXPIRES_DAYS = 100 * 365
    stored_release(channel(), "1.0")
    portal = Portal(make_web().url)
    assert portal.release("demo", System.X86_64).version == "1.0"
    row = SignedSums.objects.get()
    text, now = row.files[NAME], json.loads(row.files[NAME])
    row.files[NAME] = text.replace(now["expires_at"], "2026-01-01T00:00:00Z")
    row.save()
    artifacts().outdate("releases/download/demo")
    with pytest.raises(PortalError, match="its time was over on 2026-01-01"):
        portal.release("demo", System.X86_64)
    assert portal.release("demo", System.X86_64, "1.0").version == "1.0"
    row.files[NAME] = text.replace('"version":"1.0"', '"version":"2.0"')
    row.save()
    artifacts().outdate("releases/download/demo")
    with pytest.raises(PortalError, match=r"its timestamp 2\.0"):
        portal.release("demo", System.X86_64)
