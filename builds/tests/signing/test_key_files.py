"""Key files that others may read are not used."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from builds import signing
from builds.signing import Keyring, SignerAway
from builds.tests.signing.conftest import held_release

pytestmark = pytest.mark.django_db


def current_folder(keys: Path) -> Path:
    key = Keyring(keys).read().current
    assert key is not None
    return keys / "release" / key.id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
@pytest.mark.parametrize("name", ["ssh", "minisign", "cms"])
def test_release_key_that_others_may_read_signs_nothing_until_it_is_closed(
    signer_keys: Path, name: str, mode: int
) -> None:
    release, path = held_release(), current_folder(signer_keys) / name
    path.chmod(mode)
    with pytest.raises(SignerAway) as told:
        signing.sign_release(release.pk, release.fence)
    assert str(told.value) == (
        f"others may read {path} (mode {mode:04o}): chmod 600, and rotate if they did"
    )
    assert not (signer_keys / "signed.jsonl").exists(), "no number was spent"
    path.chmod(0o600)
    assert signing.sign_release(release.pk, release.fence).files


@pytest.mark.parametrize("name", ["root", "boot-ca/ca.key"])
def test_root_and_ca_that_others_may_read_make_no_keys(signer_keys: Path, name: str) -> None:
    path = signer_keys / name
    path.chmod(0o644)
    before = Keyring(signer_keys).read()
    with pytest.raises(CommandError, match=r"^others may read .*mode 0644\): chmod 600"):
        call_command("keys", "rotate")
    assert Keyring(signer_keys).read() == before


@pytest.mark.parametrize(
    ("name", "word"),
    [("ssh", "ssh-keygen failed"), ("minisign", "no key of minisign"), ("cms", "no RSA key")],
)
def test_file_that_holds_no_key_is_named(signer_keys: Path, name: str, word: str) -> None:
    release, path = held_release(), current_folder(signer_keys) / name
    path.write_text("no key\n")
    with pytest.raises(SignerAway, match=word):
        signing.sign_release(release.pk, release.fence)
