"""What iPXE verifies by, read by openssl: good, altered, and by a certificate for other things."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.test import Client
from django.utils import timezone

from builds import signing
from builds.pipeline import boot_files, documents, naming
from builds.signing import BadSignature, Keyring, cms
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import channel
from builds.tests.signing.test_tools import flip

pytestmark = pytest.mark.django_db

SYSTEM = "x86_64-linux"
FLIPS = 60


def accepts(folder: Path, name: str) -> bool:
    """As iPXE does, and stricter: the chain, the purpose of the certificate, the bytes."""
    words = ["-verify", "-binary", "-inform", "DER", "-in", f"{name}.p7s", "-content", name]
    trust = ["-CAfile", "boot-ca.pem", "-purpose", "any", "-out", "/dev/null"]
    done = subprocess.run(
        ["openssl", "cms", *words, *trust], cwd=folder, capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture
def folder(client: Client, tmp_path: Path) -> Path:
    """All that iPXE loads of a release, as it loads it."""
    release = stored_release(channel(), "1.0")
    for name in boot_files.to_sign(release):
        for each in (name, f"{name}.p7s"):
            (tmp_path / each).write_bytes(body(client.get(f"/{release.key(each)}")))
    (tmp_path / "boot-ca.pem").write_bytes(body(client.get("/keys/boot-ca.pem")))
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".p7s") for path in folder.glob("*.p7s"))


def test_every_file_that_ipxe_loads_has_a_signature_that_openssl_accepts(folder: Path) -> None:
    scripts = [f"netboot-{SYSTEM}{end}.ipxe" for end in ("", "-pinned", "-verified")]
    assert names(folder) == sorted([f"bzImage-{SYSTEM}", f"initrd-{SYSTEM}", *scripts])
    assert all(accepts(folder, name) for name in names(folder))


def test_no_flipped_bit_of_file_or_signature_is_accepted(folder: Path) -> None:
    draw = Random(2)
    for number in range(FLIPS):
        name = names(folder)[number % 5]
        end = "" if number % 2 else ".p7s"
        path = folder / f"{name}{end}"
        before = path.read_bytes()
        # In front of the signature proper DER leaves room: a certificate's own signature covers it.
        start = 0 if not end else len(before) - 256
        flip(path, start * 8 + draw.randrange((len(before) - start) * 8))
        assert not accepts(folder, name), f"{path.name} was accepted"
        path.write_bytes(before)


def test_certificate_is_for_signing_code_alone_and_its_ca_for_nothing_else(folder: Path) -> None:
    ca = x509.load_pem_x509_certificate((folder / "boot-ca.pem").read_bytes())
    signature = (folder / f"netboot-{SYSTEM}-verified.ipxe.p7s").read_bytes()
    both = set(pkcs7.load_der_pkcs7_certificates(signature))
    assert ca in both, "iPXE knows no more than its fingerprint"
    (certificate,) = both - {ca}

    def said(of: x509.Certificate, what: Any) -> Any:
        found = of.extensions.get_extension_for_class(what)
        assert found.critical
        return found.value

    usage = said(certificate, x509.ExtendedKeyUsage)
    assert list(usage) == [ExtendedKeyUsageOID.CODE_SIGNING]
    assert said(certificate, x509.KeyUsage).digital_signature, "iPXE asks for it"
    assert not said(certificate, x509.BasicConstraints).ca
    assert said(ca, x509.BasicConstraints).path_length == 0
    shown = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", f"bzImage-{SYSTEM}.p7s"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.search(r"signedAttrs:\s*<ABSENT>", shown), "iPXE reads none"


def test_scripts_check_before_they_boot(folder: Path) -> None:
    verified = (folder / f"netboot-{SYSTEM}-verified.ipxe").read_text()
    assert verified.index("imgtrust --permanent") < verified.index("\nkernel ")
    assert verified.count("imgverify ") == 3, "two commands, and what the screen says"
    assert "${" not in verified, "what DHCP says is not signed"
    pinned = (folder / f"netboot-{SYSTEM}-pinned.ipxe").read_text()
    for name in (f"bzImage-{SYSTEM}", f"initrd-{SYSTEM}"):
        digest = documents.digest((folder / name).read_bytes())
        at = pinned.index(f"sha256sum --set found {name} ||")
        assert (
            at < pinned.index(f"iseq ${{found}} {digest} || goto failed") < pinned.index("\nboot")
        )


def test_moving_scripts_are_signed_too_and_lead_to_one_release(
    client: Client, folder: Path
) -> None:
    for kind in naming.VERIFYING:
        name = naming.verifying_name(SYSTEM, kind)
        for each in (name, f"{name}.p7s"):
            data = body(client.get(f"/releases/download/demo/{each}"))
            assert data == artifacts().read(f"releases/download/demo/{each}")
            (folder / each).write_bytes(data)
        assert accepts(folder, name)
        assert f"1.0/bzImage-{SYSTEM}" in (folder / name).read_text()


def test_key_without_a_certificate_signs_all_but_that(
    client: Client, signer_keys: Path, tmp_path: Path
) -> None:
    for path in signer_keys.rglob("cms*"):
        path.unlink()
    release = stored_release(channel(), "1.0")
    assert release.signed_by
    assert client.get(f"/{release.key(f'netboot-{SYSTEM}-pinned.ipxe')}").status_code == 200
    assert client.get(f"/{release.key(f'initrd-{SYSTEM}.p7s')}").status_code == 404


def test_signature_is_checked_from_the_storage_before_a_release_is_published(
    signer_keys: Path,
) -> None:
    key = Keyring(signer_keys).read().current
    assert key is not None
    folder = signer_keys / "release" / key.id
    ca = (signer_keys / "boot-ca" / "ca.pem").read_bytes()
    good = cms.sign("ab" * 32, folder)
    assert good == cms.sign("ab" * 32, folder)
    cms.check(good, "ab" * 32, ca)
    for signature, digest in ((good, "ac" * 32), (good[:-1] + b"x", "ab" * 32), (b"", "ab" * 32)):
        with pytest.raises(BadSignature):
            cms.check(signature, digest, ca)
    assert signing.BOOT_CA in signing.PAPERS


def test_certificate_that_only_says_it_is_of_our_ca_signs_nothing(
    signer_keys: Path, tmp_path: Path
) -> None:
    ca, forged, key = (tmp_path / name for name in ("ca", "forged", "key"))
    for path in (ca, forged, key):
        path.mkdir()
    now = timezone.now()
    cms.make_ca(ca, at=now)
    shutil.copy(ca / "ca.key", forged)
    shutil.copy(signer_keys / "boot-ca" / "ca.pem", forged)
    cms.make_key(key, forged, "somebody", since=now, until=now + timedelta(days=1))
    signature = cms.sign("ab" * 32, key)
    ours, other = ((path / "ca.pem").read_bytes() for path in (forged, ca))
    for root in (ours, other):
        with pytest.raises(BadSignature):
            cms.check(signature, "ab" * 32, root)
