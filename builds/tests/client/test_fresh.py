"""Rollback, freeze and mix: the command refuses what is older, over, or of another release."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from builds.models import SignedSums
from builds.storage import artifacts
from builds.tests.client.conftest import Command, MakeRelease
from builds.tests.client.mirror import SYSTEM, Mirror, allowed_signers, mirror, new_key
from builds.tests.webs import MakeWeb

NOW = datetime.now(UTC)
FETCH = ("fetch", "demo", "--system", SYSTEM)
TIMESTAMP = f"releases/download/demo/timestamp-{SYSTEM}.json"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path / "release-key")


@pytest.fixture
def trusting(tmp_path: Path, key: Path) -> tuple[str, ...]:
    """A fetch that trusts the key."""
    path = tmp_path / "allowed_signers"
    path.write_text(allowed_signers(key))
    return (*FETCH, "--allowed-signers", str(path))


@pytest.fixture
def portal(tmp_path: Path, key: Path) -> Iterator[Mirror]:
    """A signed release whose manifest was over long ago: nothing new for more than a year."""
    with mirror(tmp_path / "mirror") as made:
        made.manifest["expires_at"] = (NOW - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
        made.write()
        made.sign(key)
        yield made


def test_expired_manifest_is_refused_unless_it_is_wanted(
    client: Command, portal: Mirror, trusting: tuple[str, ...]
) -> None:
    for words in (trusting, FETCH):
        done = client(portal.url, *words)
        assert done.code == 5, done.err
        assert "its manifest was over on" in done.err
        assert not list(client.home.glob("bzImage*"))
    done = client(portal.url, *trusting, "--allow-expired")
    assert done.code == 0, done.err
    assert "NOT verified: that it is the latest" in done.err


def test_calm_portal_is_told_from_a_frozen_one(
    client: Command, portal: Mirror, key: Path, trusting: tuple[str, ...]
) -> None:
    portal.vouch(key, NOW - timedelta(days=13))
    for words in (trusting, FETCH):
        assert client(portal.url, *words).code == 0, "nothing new, and somebody says so"
    portal.vouch(key, NOW - timedelta(days=15))
    for words in (trusting, FETCH):
        done = client(portal.url, *words, "--allow-older")
        assert done.code == 5, done.err
        assert "its timestamp was over on" in done.err
    assert client(portal.url, *trusting, "--allow-older", "--allow-expired").code == 0


@pytest.mark.parametrize(
    "lie",
    [
        {"version": "other"},
        {"sequence": 8},
        {"channel": "x"},
        {"system": "aarch64-linux"},
        {"manifest_sha256": "0" * 64},
    ],
)
def test_timestamp_of_another_release_is_refused(
    client: Command, portal: Mirror, key: Path, trusting: tuple[str, ...], lie: dict[str, Any]
) -> None:
    portal.vouch(key, NOW, **lie)
    assert client(portal.url, *trusting, "--allow-expired").code == 4


def test_timestamp_that_nobody_trusted_has_signed_is_refused(
    client: Command, portal: Mirror, tmp_path: Path, trusting: tuple[str, ...]
) -> None:
    portal.vouch(new_key(tmp_path / "thief"), NOW)
    assert client(portal.url, *trusting).code == 4
    file = portal.folder / TIMESTAMP
    Path(f"{file}.sig").unlink()
    done = client(portal.url, *trusting)
    assert (done.code, "is not signed" in done.err) == (4, True)


def test_earlier_timestamp_than_was_seen_is_refused_and_so_is_none(
    client: Command, portal: Mirror, key: Path, trusting: tuple[str, ...]
) -> None:
    portal.vouch(key, NOW)
    assert client(portal.url, *trusting).code == 0
    portal.vouch(key, NOW - timedelta(days=3))
    done = client(portal.url, *trusting)
    assert (done.code, "was seen before" in done.err) == (5, True)
    portal.manifest.pop("expires_at")
    portal.write()
    portal.sign(key)
    (portal.folder / TIMESTAMP).unlink()
    done = client(portal.url, *trusting)
    assert (done.code, "now it has none" in done.err) == (5, True)
    assert client(portal.url, *trusting, "--allow-older").code == 0
    assert client(portal.url, *trusting).code == 0, "what was taken knowingly is forgotten"


@pytest.mark.django_db(transaction=True)
def test_real_portal_vouches_for_what_has_expired_long_ago(
    client: Command, publish: MakeRelease, make_web: MakeWeb, settings: LazySettings
) -> None:
    release = publish(at=NOW - timedelta(days=300))
    web = make_web()
    words = (*FETCH, "--trust-on-first-use", "--require-signature", "--role", "kernel")
    assert client(web.url, *words).code == 0
    (seen,) = (client.home / "state").rglob("*.json")
    assert json.loads(seen.read_text())[f"demo/{SYSTEM}"]["sequence"] == release.sequence
    row = SignedSums.objects.get()
    text = row.files[f"timestamp-{SYSTEM}.json"]
    row.files[f"timestamp-{SYSTEM}.json"] = text.replace('"sequence":1', '"sequence":2')
    row.save()
    artifacts().outdate("releases/download/demo")
    done = client(web.url, *words)
    assert (done.code, "signature is wrong" in done.err) == (4, True), done.err
