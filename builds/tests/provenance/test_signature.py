"""The signature of a provenance: checked by others' tools, refused where anything is wrong."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.test import Client
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._key import SSlibKey

from builds import signing
from builds.models import Artifact, Build, BuildRecord, Release
from builds.pipeline import documents
from builds.pipeline.publish import write_papers, write_script
from builds.pipeline.signatures import sign_again
from builds.signer import subject
from builds.signing import BadSignature, Keyring, Refused, dsse, opened
from builds.storage import artifacts
from builds.tests.models.rows import NOW
from builds.tests.provenance.conftest import (
    INITRD,
    MANIFEST,
    PROVENANCE,
    SBOM,
    recorded_release,
    statement_of,
    stored,
    told_release,
)
from builds.tests.webs import MakeWeb, database_url, make_web

__all__ = ["database_url", "make_web"]

pytestmark = pytest.mark.django_db


def current(keys: Path) -> tuple[str, str, Path]:
    """Id, public half and private file of the key that signs."""
    key = Keyring(keys).read().current
    assert key is not None
    return key.id, key.ssh, keys / "release" / key.id / "ssh"


def verifies(data: bytes, key_id: str, pem: bytes) -> bool:
    """What securesystemslib says of an envelope."""
    public = load_pem_public_key(pem)
    key = SSlibKey.from_crypto(public, keyid=key_id)
    try:
        return set(Envelope.from_dict(json.loads(data)).verify([key], 1)) == {key_id}
    except VerificationError:
        return False


def held(version: str = "1.0") -> Release:
    """A draft with papers, to be signed."""
    release = recorded_release(version)
    assert release.hold("worker-1")
    release.number()
    write_script(release)
    write_papers(release)
    return release


def changed_payload(data: bytes) -> bytes:
    record = json.loads(data)
    payload = base64.b64decode(record["payload"]).replace(b"netboot", b"n3tboot")
    record["payload"] = base64.b64encode(payload).decode()
    return json.dumps(record).encode() + b"\n"


def other_key(data: bytes) -> bytes:
    record = json.loads(data)
    payload = base64.b64decode(record["payload"])
    signature = Ed25519PrivateKey.generate().sign(dsse.signed_bytes(payload))
    record["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return json.dumps(record).encode() + b"\n"


def test_securesystemslib_takes_it_and_nothing_else(client: Client, signer_keys: Path) -> None:
    data = stored(told_release(), PROVENANCE)
    key_id, _, _ = current(signer_keys)
    pem = client.get("/keys/release.pem").content
    assert verifies(data, key_id, pem)
    assert not verifies(changed_payload(data), key_id, pem)
    assert not verifies(other_key(data), key_id, pem)


@pytest.mark.django_db(transaction=True)
def test_openssl_takes_it_as_the_page_says_and_nothing_else(
    make_web: MakeWeb, client: Client, tmp_path: Path, settings: Any
) -> None:
    release = told_release()
    web = make_web()
    settings.PORTAL_URL = web.url
    page = client.get("/verify/").content.decode()
    found = re.search(r'<pre id="command-provenance"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    command = unescape(found[1])

    def run(name: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / name).mkdir()
        return subprocess.run(
            ["sh", "-c", command], cwd=tmp_path / name, capture_output=True, text=True, check=False
        )

    good = run("good")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Signature Verified Successfully" in good.stdout
    assert json.loads((tmp_path / "good" / "statement.json").read_text()) == statement_of(release)
    tarball = f"nixos-kexec-installer-{release.system}.tar.gz"
    for what, name, change in (
        ("payload", PROVENANCE, changed_payload),
        ("key", PROVENANCE, other_key),
        ("sbom", SBOM, lambda data: data.replace(b"glibc", b"glibd")),
        ("file", tarball, lambda data: data.replace(b"of", b"OF")),
    ):
        before = stored(release, name)
        artifacts().replace(release.key(name), change(before))
        assert run(what).returncode != 0, what
        artifacts().replace(release.key(name), before)
    assert run("again").returncode == 0


def test_signature_of_sums_is_none_of_a_statement(signer_keys: Path) -> None:
    key_id, public, private = current(signer_keys)
    envelope = opened(dsse.sign(b"{}", private, key_id))
    dsse.verify(envelope, public)
    with pytest.raises(BadSignature):
        dsse.verify(dsse.Envelope(b"{} ", key_id, envelope.signature), public)
    with pytest.raises(BadSignature):
        signing.verify_envelope(dsse.Envelope(b"{}", key_id, b"x" * 64), public)


ENVELOPES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{\n",
    "two lines": b'{"payload": ""}\n\n',
    "another type": b'{"payload":"","payloadType":"text/plain","signatures":[]}\n',
    "no signature": b'{"payload":"","payloadType":"application/vnd.in-toto+json",'
    b'"signatures":[]}\n',
    "no base64": b'{"payload":"\xc3\xa4","payloadType":"application/vnd.in-toto+json",'
    b'"signatures":[{"keyid":"x","sig":"x"}]}\n',
    "deep": b"[" * 100_000 + b"\n",
    "large": b" " * dsse.LARGEST + b"\n",
}


@pytest.mark.parametrize("what", ENVELOPES)
def test_broken_envelope_is_refused(what: str) -> None:
    with pytest.raises(BadSignature):
        opened(ENVELOPES[what])


# What the signer does not sign.


def test_signer_builds_the_statement_by_itself_from_what_it_hashed() -> None:
    release = held()
    signed = signing.sign_release(release.pk, release.fence)
    said = json.loads(opened(signed.files[PROVENANCE]).payload)
    assert {each["name"] for each in said["subject"]} == set(
        release.artifacts.values_list("name", flat=True)
    )


def records_changed(release: Release) -> None:
    BuildRecord.objects.update(settings={"sandbox": False})


def records_gone(release: Release) -> None:
    BuildRecord.objects.all().delete()


def sbom_changed(release: Release) -> None:
    artifacts().replace(release.key(SBOM), b"{}\n")


def built_otherwise(release: Release) -> None:
    Build.objects.update(sandboxed=False)


@pytest.mark.parametrize("alter", [records_changed, records_gone, sbom_changed, built_otherwise])
def test_signer_refuses_what_is_not_as_the_papers_say(alter: Callable[[Release], None]) -> None:
    release = held()
    alter(release)
    with pytest.raises(Refused, match="stored with other bytes"):
        signing.sign_release(release.pk, release.fence)


def test_subjects_must_be_the_files_that_were_hashed() -> None:
    release = told_release()
    manifest, statement = stored(release, MANIFEST), opened(stored(release, PROVENANCE)).payload
    hashed = dict(release.artifacts.values_list("name", "sha256"))
    subject._check_statement(release, statement, manifest, hashed)
    for wrong in (hashed | {INITRD: "0" * 64}, hashed | {"more": "0" * 64}):
        with pytest.raises(Refused, match="about other files"):
            subject._check_statement(release, statement, manifest, wrong)
    del hashed[INITRD]
    with pytest.raises(Refused, match="about other files"):
        subject._check_statement(release, statement, manifest, hashed)
    with pytest.raises(Refused, match="names another provenance"):
        subject._check_statement(release, statement + b" ", manifest, hashed)


def test_signing_again_keeps_the_statement_and_changes_the_key(signer_keys: Path) -> None:
    release = told_release()
    before, (old, _, _) = stored(release, PROVENANCE), current(signer_keys)
    ring = Keyring(signer_keys)
    ring.sign_and_install(ring.rotated(at=NOW))

    assert sign_again(release, at=NOW)

    after = opened(stored(release, PROVENANCE))
    assert after.payload == opened(before).payload
    assert (opened(before).key_id, after.key_id) == (old, current(signer_keys)[0])
    ring.read().check_envelope(stored(release, PROVENANCE))
    release.refresh_from_db()
    assert release.papers[PROVENANCE] == documents.digest(stored(release, PROVENANCE))


def test_other_statement_is_not_signed_again(signer_keys: Path) -> None:
    release = told_release()
    artifacts().replace(release.key(PROVENANCE), changed_payload(stored(release, PROVENANCE)))
    with pytest.raises(Refused, match="names another provenance"):
        sign_again(release, at=NOW)


def test_revoked_key_proves_nothing(signer_keys: Path) -> None:
    data = stored(told_release(), PROVENANCE)
    ring = Keyring(signer_keys)
    ring.sign_and_install(ring.revoked(current(signer_keys)[0], at=NOW))
    with pytest.raises(BadSignature, match="revoked"):
        ring.read().check_envelope(data)


def test_failed_draft_leaves_no_statement_behind() -> None:
    release = held()
    Artifact.objects.filter(name=INITRD).update(sha256="0" * 64)
    with pytest.raises(Refused):
        signing.sign_release(release.pk, release.fence)
    assert artifacts().read(release.key(PROVENANCE)) is None
