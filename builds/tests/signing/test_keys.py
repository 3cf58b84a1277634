"""Keys: made, changed by a root that is elsewhere, lost, stolen; the drills of docs/keys.md."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from builds import pipeline, signing
from builds.choices import KeyStatus
from builds.models import AuditEntry, Channel, Damage, Head, Release, SignedSums
from builds.pipeline.scrub import Pace, scrub
from builds.signing import BadKeys, Keyring, KeySet, NoKey, fingerprint, sshsig
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import channel
from builds.tests.signing.test_tools import (
    SUMS,
    fetched,
    minisign_accepts,
    root_is_good,
    ssh_accepts,
)

pytestmark = pytest.mark.django_db


def keys(*words: str) -> str:
    """What a command of manage.py keys prints."""
    out = StringIO()
    call_command("keys", *words, stdout=out)
    return out.getvalue()


def by_status(folder: Path) -> dict[KeyStatus, list[str]]:
    found: dict[KeyStatus, list[str]] = {}
    for key in Keyring(folder).read().keys:
        found.setdefault(key.status, []).append(key.id)
    return found


def test_first_keys_are_two_that_overlap_for_a_year_each(signer_keys: Path) -> None:
    found = Keyring(signer_keys).read()
    current, following = found.current, found.with_status(KeyStatus.NEXT)
    assert current is not None
    assert following is not None
    assert current.valid_before - current.valid_after == timedelta(days=365)
    assert current.valid_before - following.valid_after == timedelta(days=60)
    assert KeySet.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": 2}, "format"),
        ({"namespace": "file"}, "format"),
        ({"root": "ssh-rsa AAAA"}, "root"),
        ({"keys": [{}]}, "no list of keys"),
        ({"serial": "x"}, "no list of keys"),
        ({"made_at": "2026-11-22T03:00:00"}, "no time zone"),
    ],
)
def test_keys_that_are_not_exactly_that_are_refused(
    signer_keys: Path, change: dict[str, object], word: str
) -> None:
    record = json.loads(Keyring(signer_keys).read().to_json()) | change
    with pytest.raises(BadKeys, match=word):
        KeySet.from_json(json.dumps(record).encode())


def test_rotating_lets_the_next_key_sign_and_what_the_last_one_signed_stands(
    signer_keys: Path, client: Client, tmp_path: Path
) -> None:
    of = channel()
    old = stored_release(of, "1.0")
    before = by_status(signer_keys)

    said = keys("rotate")

    after = by_status(signer_keys)
    assert after[KeyStatus.CURRENT] == before[KeyStatus.NEXT]
    assert after[KeyStatus.RETIRED] == before[KeyStatus.CURRENT]
    assert "next: keys sign-again" in said
    assert not (signer_keys / "release" / before[KeyStatus.CURRENT][0]).exists()
    new = stored_release(of, "2.0")
    assert [old.signed_by, new.signed_by] == before[KeyStatus.CURRENT] + after[KeyStatus.CURRENT]
    assert ssh_accepts(fetched(client, old, tmp_path / "old"), SUMS)
    reader = fetched(client, new, tmp_path / "new")
    assert ssh_accepts(reader, SUMS)
    assert minisign_accepts(reader, SUMS)
    assert root_is_good(reader)


def test_root_on_another_machine_signs_a_request_and_never_comes_here(
    tmp_path: Path, client: Client, settings: object
) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    sshsig.make_key(elsewhere / "root", "root")
    settings.SIGNER_KEYS = here  # type: ignore[attr-defined]
    settings.SIGNER = {  # type: ignore[attr-defined]
        "BACKEND": "builds.signer.local.LocalSigner",
        "OPTIONS": {"keys": str(here)},
    }
    keys("make", "--root-public", str(elsewhere / "root.pub"))
    with pytest.raises(CommandError, match=r"no key of .* is signed by the root yet"):
        keys("show")
    request = tmp_path / "request"
    request.write_text(keys("request", "first"))
    with pytest.raises(CommandError, match="No such file"):
        keys("install", str(request))
    keys("sign-root", str(request), "--root-key", str(elsewhere / "root"))
    assert "its private half is elsewhere" in keys("install", str(request))
    assert not (here / "root").exists()
    release = stored_release(channel(), "1.0")
    assert ssh_accepts(fetched(client, release, tmp_path / "reader"), SUMS)
    with pytest.raises(CommandError, match="the root key is not here: keys request"):
        keys("rotate")
    with pytest.raises(CommandError, match="number 1 is in use"):
        keys("install", str(request))


def test_request_that_another_key_signed_or_that_was_changed_is_not_used(
    signer_keys: Path, tmp_path: Path
) -> None:
    request = tmp_path / "request"
    request.write_text(keys("request", "rotate"))
    sshsig.make_key(tmp_path / "stranger", "stranger")
    keys("sign-root", str(request), "--root-key", str(tmp_path / "stranger"))
    with pytest.raises(CommandError, match="ssh-keygen does not accept it"):
        keys("install", str(request))
    keys("sign-root", str(request), "--root-key", str(signer_keys / "root"))
    request.write_text(request.read_text().replace('"serial": 2', '"serial": 3'))
    with pytest.raises(CommandError, match="ssh-keygen does not accept it"):
        keys("install", str(request))


def test_what_was_revoked_never_comes_back(signer_keys: Path) -> None:
    keyring = Keyring(signer_keys)
    before = keyring.read()
    assert before.current is not None
    keys("revoke", before.current.id)
    again = json.loads(keyring.read().to_json())
    again["serial"] += 1
    for key in again["keys"]:
        if key["status"] == "revoked":
            key["status"] = "retired"
    data = json.dumps(again).encode()
    with pytest.raises(NoKey, match="forgets what became of the key"):
        keyring.install(data, sshsig.sign(data, signer_keys / "root", sshsig.KEYS_NAMESPACE))


def test_drill_for_a_lost_key(signer_keys: Path, client: Client, tmp_path: Path) -> None:
    """docs/keys.md: the machine is gone, the root key and the storage are there."""
    release = stored_release(channel(), "1.0")
    (current,) = by_status(signer_keys)[KeyStatus.CURRENT]
    shutil.rmtree(signer_keys / "release")
    (signer_keys / "signed.jsonl").unlink()

    keys("rotate")
    said = keys("sign-again")

    assert "1.0 x86_64-linux: signed again" in said
    release.refresh_from_db()
    assert release.signed_by not in {"", current}
    reader = fetched(client, release, tmp_path / "reader")
    for name in (SUMS, "release-x86_64-linux.json"):
        assert ssh_accepts(reader, name)
        assert minisign_accepts(reader, name)
    new = stored_release(Channel.objects.get(), "2.0")
    assert new.is_published


def test_drill_for_a_stolen_key(signer_keys: Path, client: Client, tmp_path: Path) -> None:
    """docs/keys.md: somebody else can sign; from the revocation on nobody believes it."""
    release = stored_release(channel(), "1.0")
    (current,) = by_status(signer_keys)[KeyStatus.CURRENT]
    stolen = shutil.copytree(signer_keys / "release" / current, tmp_path / "stolen")
    reader = fetched(client, release, tmp_path / "before")
    assert ssh_accepts(reader, SUMS)

    keys("revoke", current)

    newer = fetched(client, release, tmp_path / "between")
    assert not ssh_accepts(newer, SUMS), "with the new allowed_signers"
    found = scrub([release], at=timezone.now(), pace=Pace(None))
    assert {damage.name.rpartition(".")[2] for damage in found.damaged} == {"sig", "minisig"}
    assert client.get(f"/{release.key(SUMS)}.sig").status_code == 410
    scrub([release], at=timezone.now(), pace=Pace(None))
    assert Damage.objects.count() == 4, "it is told once"

    keys("sign-again")

    assert not Damage.objects.unmended().exists()
    after = fetched(client, release, tmp_path / "after")
    assert ssh_accepts(after, SUMS)
    assert minisign_accepts(after, SUMS)
    forged = (after / SUMS).read_bytes().replace(b"a", b"b")
    (after / SUMS).write_bytes(forged)
    signature = sshsig.sign(forged, stolen / "ssh", sshsig.NAMESPACE)
    (after / f"{SUMS}.sig").write_bytes(signature)
    assert not ssh_accepts(after, SUMS)
    moving = body(client.get("/releases/download/demo/SHA256SUMS.sig"))
    assert moving == artifacts().read("releases/download/demo/SHA256SUMS.sig")
    (after / "SHA256SUMS.sig").write_bytes(moving)
    (after / "SHA256SUMS").write_bytes(body(client.get("/releases/download/demo/SHA256SUMS")))
    assert ssh_accepts(after, "SHA256SUMS")


def test_what_a_stolen_key_signed_is_not_signed_again_where_nothing_else_vouches_for_it(
    signer_keys: Path,
) -> None:
    release = stored_release(channel(), "1.0")
    (signer_keys / "signed.jsonl").unlink()
    keys("revoke", release.signed_by)
    with pytest.raises(CommandError, match="1 could not be signed again"):
        keys("sign-again")


def lose_the_database() -> None:
    Head.objects.all().delete()
    Release.objects.all().delete()
    Channel.objects.all().delete()


def restored(*, unsigned: bool = False) -> list[str]:
    return [str(each) for each in pipeline.restore(at=timezone.now(), unsigned=unsigned)]


def test_restore_takes_what_is_signed_and_knows_by_whom(signer_keys: Path) -> None:
    release = stored_release(channel(), "1.0")
    lose_the_database()
    assert restored()[-1] == "restored: demo 1.0 x86_64-linux, published"
    again = Release.objects.get()
    assert (again.signed_by, again.papers) == (release.signed_by, release.papers)
    assert Head.objects.get().release == again


@pytest.mark.parametrize("how", ["unsigned", "signed by a stranger", "signed by a revoked key"])
def test_forged_manifest_with_right_digests_is_refused(
    how: str, signer_keys: Path, tmp_path: Path
) -> None:
    release = stored_release(channel(), "1.0")
    name = "release-x86_64-linux.json"
    record = json.loads(artifacts().read(release.key(name)) or b"")
    forged = json.dumps(record | {"revision": "ee" * 20}).encode()
    artifacts().replace(release.key(name), forged)
    private = signer_keys / "release" / release.signed_by / "ssh"
    if how == "signed by a stranger":
        private = tmp_path / "stranger"
        sshsig.make_key(private, "stranger")
    signature = sshsig.sign(forged, private, sshsig.NAMESPACE)
    for each in (SUMS, name):
        artifacts().delete(release.key(f"{each}.minisig"))
        artifacts().delete(release.key(f"{each}.sig"))
    if how != "unsigned":
        artifacts().replace(release.key(f"{name}.sig"), signature)
    if how == "signed by a revoked key":
        keys("revoke", release.signed_by)
    lose_the_database()
    word = {"unsigned": "it is not signed", "signed by a stranger": "no release key"}
    assert any(
        line.startswith("refused: demo 1.0") and word.get(how, "is revoked") in line
        for line in restored()
    )
    assert not Release.objects.exists()
    if how == "unsigned":
        assert any(line.startswith("restored: demo 1.0") for line in restored(unsigned=True))


def test_release_from_before_signing_stays_and_says_so(client: Client) -> None:
    release = stored_release(channel(), "1.0")
    for name in release.papers:
        if name.endswith(signing.SUFFIXES):
            artifacts().delete(release.key(name))
    papers = {n: d for n, d in release.papers.items() if not n.endswith(signing.SUFFIXES)}
    Release.objects.update(signed_by="", papers=papers)
    SignedSums.objects.all().delete()
    page = client.get(release.get_absolute_url()).content.decode()
    assert "unsigned: published before releases were signed" in page
    assert f"{SUMS}.sig" not in page
    assert client.get("/api/v1/latest/demo/x86_64-linux/").json()["signatures"] == {}
    assert client.get(f"/{release.key(SUMS)}.sig").status_code == 404
    assert client.get(f"/{release.key(SUMS)}").status_code == 200
    assert "This release is unsigned" in client.get("/verify/").content.decode()
    pipeline.write_moving("demo")
    assert client.get("/releases/download/demo/SHA256SUMS.sig").status_code == 404
    assert client.get("/releases/download/demo/SHA256SUMS").status_code == 200
    assert scrub([Release.objects.get()], at=timezone.now(), pace=Pace(None)).is_clean


def trail() -> list[tuple[str, str, str]]:
    """What was done to keys and by signing again, the oldest first: act, kind, what, why."""
    told = AuditEntry.objects.order_by("number").filter(who__startswith="command line as ")
    return [(e.act, f"{e.kind} {e.what}".split(" SHA256:")[0], e.reason) for e in told]


def test_each_change_of_the_keys_is_on_the_audit_trail(signer_keys: Path, tmp_path: Path) -> None:
    release = stored_release(channel(), "1.0")
    before = by_status(signer_keys)
    [first], [second] = before[KeyStatus.CURRENT], before[KeyStatus.NEXT]

    keys("rotate")
    keys("sign-again")
    [third] = by_status(signer_keys)[KeyStatus.NEXT]
    keys("revoke", first)

    told = trail()
    assert set(told[:3]) == {
        ("change", f"release key {first}", "current → retired"),
        ("change", f"release key {second}", "next → current"),
        ("add", f"release key {third}", "next"),
    }
    assert told[3:] == [
        ("change", f"release {release}", f"signed again by {second}"),
        ("change", f"release key {first}", "retired → revoked"),
    ]
    entry = AuditEntry.objects.get(reason="next")
    found = Keyring(signer_keys).read().named(third)
    assert found is not None
    assert entry.what == f"{third} {fingerprint(found.ssh)}"
    assert list(AuditEntry.objects.faults()) == []


def test_first_keys_are_on_the_audit_trail(tmp_path: Path, settings: LazySettings) -> None:
    settings.SIGNER_KEYS = tmp_path / "new"

    keys("make")

    made = by_status(tmp_path / "new")
    [current], [following] = made[KeyStatus.CURRENT], made[KeyStatus.NEXT]
    root = AuditEntry.objects.get(kind="root key")
    assert (root.act, root.what) == ("add", fingerprint(Keyring(tmp_path / "new").root))
    assert trail()[1:] == [
        ("add", f"release key {current}", "current"),
        ("add", f"release key {following}", "next"),
    ]


def test_keys_that_nobody_changed_leave_nothing_on_the_audit_trail(signer_keys: Path) -> None:
    with pytest.raises(CommandError, match="there is no key"):
        keys("revoke", "none")
    keys("show")
    assert trail() == []


@pytest.mark.django_db(transaction=True)
def test_key_is_revoked_where_the_audit_trail_is_away(signer_keys: Path) -> None:
    [stolen] = by_status(signer_keys)[KeyStatus.CURRENT]
    err = StringIO()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE builds_audittip RENAME TO builds_elsewhere")
    try:
        call_command("keys", "revoke", stolen, stdout=StringIO(), stderr=err)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE builds_elsewhere RENAME TO builds_audittip")
    assert by_status(signer_keys)[KeyStatus.REVOKED] == [stolen]
    assert "the audit trail does not know of this" in err.getvalue()
