"""Whose signatures a portal that follows another asks for, and what stays of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from builds import pipeline
from builds.models import Followed, Release, Transfer
from builds.tests.downloads.test_downloads import body
from builds.tests.mirrors.conftest import (
    SYSTEM,
    Keys,
    Tree,
)
from builds.tests.mirrors.following import (
    FOLDER,
    INITRD,
    MANIFEST,
    change,
    follow,
    forget_rows,
    pin,
    refused,
    signed_copy,
)
from builds.tests.retention.conftest import storage_kind, stored_keys
from builds.tests.web.reading import text_of

__all__ = ["storage_kind"]


pytestmark = pytest.mark.django_db


def test_signed_release_is_taken_and_the_keys_stay_pinned(
    tree: Tree, keys: Keys, tmp_path: Path, client: Client
) -> None:
    signed_copy(tree, keys)
    other = Keys.make(tmp_path, "other@first.example")

    said = follow(tree, *pin(tmp_path, other.allowed, keys.allowed))

    assert f"published: demo 1.0 {SYSTEM}, signed by {keys.who}" in said
    assert "only digests" not in said
    page = text_of(client.get(Release.objects.get().get_absolute_url()))
    assert f"The signature of {keys.who} was verified" in page
    assert f"by {keys.who}, where it was made" in page
    assert f"SHA256SUMS-{SYSTEM}.sig" in page
    assert "came from another portal" in text_of(client.get("/verify/"))
    with pytest.raises(CommandError, match="other keys were pinned"):
        call_command("follow", tree.url, *pin(tmp_path, other.allowed))
    assert "no keys" not in follow(tree), "they need not be named again"
    follow(tree, *pin(tmp_path, other.allowed), "--replace-signers")
    assert Followed.objects.get().allowed_signers == other.allowed


@pytest.mark.parametrize("how", ["unsigned", "another key", "another namespace", "changed"])
def test_release_without_a_good_signature_is_refused(
    how: str, tree: Tree, keys: Keys, tmp_path: Path
) -> None:
    signer = Keys.make(tmp_path, "mallory") if how == "another key" else keys
    signed_copy(tree, signer, "file" if how == "another namespace" else "nixos-images")
    for sig in tree.root.rglob("*.sig"):
        if how == "unsigned":
            sig.unlink()
    if how == "changed":
        change(tree, f"{FOLDER}/{MANIFEST}", lambda record: record.update(revision="cd" * 20))

    assert "sign" in refused(tree, *pin(tmp_path, keys.allowed))
    assert not Release.objects.exists()
    assert not [key for key in stored_keys() if INITRD in key], "nothing was fetched for it"


def test_transfer_comes_back_by_a_restore(first: Tree, tmp_path: Path, keys: Keys) -> None:
    follow(first)
    before = Transfer.objects.values("kind", "source", "signer", "taken_at").get()
    forget_rows()

    list(pipeline.restore(at=timezone.now(), unsigned=True))

    assert Transfer.objects.values("kind", "source", "signer", "taken_at").get() == before


def test_what_was_followed_is_restored_where_who_is_pinned_has_signed_it(
    tree: Tree, keys: Keys, settings: LazySettings, tmp_path: Path
) -> None:
    signed_copy(tree, keys)
    follow(tree)
    forget_rows()

    assert "restore --unsigned takes it" in "".join(map(str, pipeline.restore(at=timezone.now())))
    settings.FOLLOW_ALLOWED_SIGNERS = pin(tmp_path, Keys.make(tmp_path, "mallory").allowed)[1]
    assert "by no key that is pinned" in "".join(map(str, pipeline.restore(at=timezone.now())))
    assert not Release.objects.exists()
    settings.FOLLOW_ALLOWED_SIGNERS = pin(tmp_path, keys.allowed)[1]
    list(pipeline.restore(at=timezone.now()))
    assert Release.objects.get().signed_by == ""


def test_api_tells_where_a_release_came_from_and_how_it_is_signed(
    tree: Tree, keys: Keys, tmp_path: Path, client: Client
) -> None:
    signed_copy(tree, keys)
    # Who signs like this signs with OpenSSH alone.
    for sig in tree.root.rglob("*.minisig"):
        sig.unlink()
    follow(tree, *pin(tmp_path, keys.allowed))
    latest = client.get(f"/api/v1/latest/demo/{SYSTEM}/").json()
    detail = client.get(f"/api/v1/releases/demo/1.0/{SYSTEM}/").json()

    assert detail["origin"] == {"kind": "built", "source": ""}
    taken_at = detail["transfer"].pop("taken_at")
    assert taken_at == Transfer.objects.get().taken_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"kind": "followed", "source": tree.url, "signer": keys.who}
    assert detail["transfer"] == told
    assert latest["signatures"] == detail["signatures"]
    for name, urls in (
        (f"SHA256SUMS-{SYSTEM}", detail["signatures"]),
        (MANIFEST, detail["manifest_signatures"]),
    ):
        assert urls.keys() == {"ssh"}, "there is no other"
        signature = body(client.get(urls["ssh"].removeprefix("http://testserver")))
        assert signature == tree.path(f"{FOLDER}/{name}.sig").read_bytes()

    Release.objects.get().withdraw("it eats disks", at=timezone.now())
    gone = client.get(f"/api/v1/releases/demo/1.0/{SYSTEM}/").json()
    assert (gone["signatures"], gone["manifest_signatures"]) == ({}, {})
    assert gone["transfer"]["source"] == tree.url
