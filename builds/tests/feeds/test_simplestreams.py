"""Simplestreams, followed from the index to the bytes, and verified by gpgv."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from environs import Env
from pysequoia import Tsk

from builds.feeds import openpgp
from builds.models import Release
from builds.pipeline import roll_back
from builds.storage import artifacts
from builds.tests.factories import NOW, ReleaseFactory
from builds.tests.feeds.conftest import Weeks
from portal.env import BadSetting, Environment
from portal.openpgp import openpgp_key_file

INDEX = "/streams/v1/index.json"
PRODUCTS = "/streams/v1/org.nixos.images:demo:download"
AMD64 = "org.nixos.images:demo:amd64"


@pytest.fixture
def key(tmp_path: Path, settings: LazySettings) -> Tsk:
    """A key that the settings name."""
    made = Tsk.generate("Images <images@example.org>")
    path = tmp_path / "key.asc"
    path.write_text(str(made))
    settings.OPENPGP_KEY_FILE = str(path)
    openpgp.clear_signed.cache_clear()
    return made


def versions(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{PRODUCTS}.json").json()["products"][AMD64]["versions"]
    return found


def test_index_leads_to_products_and_these_to_the_bytes(
    client: Client, stored_weeks: Weeks
) -> None:
    index = client.get(INDEX).json()
    assert index["format"] == "index:1.0"
    assert parsedate_to_datetime(index["updated"]) == stored_weeks.new.published_at
    entry = index["index"]["org.nixos.images:demo:download"]
    assert (entry["format"], entry["datatype"]) == ("products:1.0", "image-downloads")
    record = client.get(f"/{entry['path']}").json()
    assert record["content_id"] == "org.nixos.images:demo:download"
    assert sorted(record["products"]) == sorted(entry["products"])
    product = record["products"][AMD64]
    assert (product["arch"], product["os"], product["release"]) == ("amd64", "nixos", "demo")
    newest = product["versions"][max(product["versions"])]
    assert newest["version"] == "2.0"
    for item in newest["items"].values():
        data = artifacts().read(item["path"])
        assert data is not None
        assert (len(data), hashlib.sha256(data).hexdigest()) == (item["size"], item["sha256"])
    assert newest["items"]["bzImage-x86_64-linux"]["ftype"] == "boot-kernel"
    assert newest["items"]["initrd-x86_64-linux"]["ftype"] == "boot-initrd"


def test_last_version_by_name_is_the_head_also_after_a_rollback(
    client: Client, weeks: Weeks
) -> None:
    names = sorted(versions(client))
    assert [versions(client)[name]["version"] for name in names] == ["1.0", "2.0"]
    roll_back(weeks.old, "The newer one hangs.", by=None, at=NOW)
    assert [each["version"] for each in versions(client).values()] == ["1.0"]


def test_only_the_last_fifty_versions_are_listed(client: Client, weeks: Weeks) -> None:
    for number in range(52):
        release: Release = ReleaseFactory(
            channel=weeks.channel, pinned=True, queue=False, version=f"3.{number}"
        )
        release.number()
        release.publish(at=NOW + timedelta(minutes=number))
    found = versions(client)
    assert len(found) == 50
    assert found[max(found)]["version"] == "3.51"


def test_gpgv_verifies_the_signed_form(
    client: Client, weeks: Weeks, key: Tsk, tmp_path: Path
) -> None:
    ring = tmp_path / "ring.gpg"
    armored = client.get("/streams/v1/key.asc").content
    subprocess.run(["gpg", "--dearmor", "-o", str(ring)], input=armored, check=True, timeout=30)
    index = verified(client.get("/streams/v1/index.sjson").content, ring)
    path = index["index"]["org.nixos.images:demo:download"]["path"]
    assert path.endswith(".sjson")
    assert verified(client.get(f"/{path}").content, ring) == client.get(f"{PRODUCTS}.json").json()
    spoilt = client.get("/streams/v1/index.sjson").content.replace(b"demo", b"dome", 1)
    with pytest.raises(subprocess.CalledProcessError):
        verified(spoilt, ring)


def verified(signed: bytes, ring: Path) -> Any:
    """What was signed, as gpgv gives it out; raises CalledProcessError where it was changed."""
    done = subprocess.run(
        ["gpgv", "--keyring", str(ring), "--output", "-", "-"],
        input=signed,
        capture_output=True,
        check=True,
        timeout=30,
    )
    return json.loads(done.stdout)


def test_signed_form_is_signed_once_for_the_same_text(
    client: Client, weeks: Weeks, key: Tsk
) -> None:
    first = client.get("/streams/v1/index.sjson")
    assert client.get("/streams/v1/index.sjson").content == first.content
    again = client.get("/streams/v1/index.sjson", headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["index.sjson", "key.asc"])
def test_without_a_key_nothing_is_signed(client: Client, weeks: Weeks, name: str) -> None:
    response = client.get(f"/streams/v1/{name}")
    assert response.status_code == 404
    assert "/streams/v1/index.json" in response.content.decode()


def test_channel_that_is_not_there_names_those_that_are(client: Client, weeks: Weeks) -> None:
    response = client.get("/streams/v1/org.nixos.images:nowhere:download.json")
    assert response.status_code == 404
    assert "Channels: demo, nixos-26.05." in response.content.decode()


@pytest.mark.parametrize("path", [INDEX, f"{PRODUCTS}.json", "/streams/demo.json"])
def test_more_channels_and_releases_take_no_more_queries(
    client: Client, weeks: Weeks, path: str
) -> None:
    with CaptureQueriesContext(connection) as before:
        client.get(path)
    ReleaseFactory.create_batch(3, published=True)
    ReleaseFactory(channel=weeks.channel, published=True)
    with CaptureQueriesContext(connection) as after:
        client.get(path)
    assert len(after) == len(before) < 10


def test_empty_portal_has_an_empty_index(client: Client, db: None) -> None:
    assert client.get(INDEX).json() == {"format": "index:1.0", "index": {}}


def test_key_that_cannot_sign_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "key.asc"
    monkeypatch.setenv("OPENPGP_KEY_FILE", str(path))

    def read() -> str:
        return openpgp_key_file(Environment(Env()))

    with pytest.raises(BadSetting, match="OPENPGP_KEY_FILE: can't be read"):
        read()
    secret = Tsk.generate("Images <images@example.org>")
    for text in ("nonsense", str(secret.extract_certificate())):
        path.write_text(text)
        with pytest.raises(BadSetting, match="wants a secret OpenPGP key"):
            read()
    path.write_text(str(secret))
    assert read() == str(path)
