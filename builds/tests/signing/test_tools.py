"""Signatures as readers check them: ssh-keygen, minisign, sha256sum, good and bad."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from builds import signing
from builds.models import Release
from builds.pipeline import naming
from builds.signing import Keyring, sshsig
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import channel

pytestmark = pytest.mark.django_db

SUMS = "SHA256SUMS-x86_64-linux"
MANIFEST = "release-x86_64-linux.json"
INITRD = "initrd-x86_64-linux"
FLIPS = 1000


def fetched(client: Client, release: Release, folder: Path) -> Path:
    """All papers, keys and one file of a release, as a reader downloads them."""
    names = [SUMS, MANIFEST, INITRD]
    names += [f"{name}{suffix}" for name in (SUMS, MANIFEST) for suffix in (".sig", ".minisig")]
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(body(client.get(f"/{release.key(name)}")))
    for name in signing.PAPERS:
        (folder / name).write_bytes(body(client.get(f"/keys/{name}")))
    return folder


def ssh_accepts(folder: Path, name: str) -> bool:
    words = ["-f", "allowed_signers", "-I", "nixos-images", "-n", "nixos-images"]
    return run(folder, ["ssh-keygen", "-Y", "verify", *words, "-s", f"{name}.sig"], name)


def root_is_good(folder: Path) -> bool:
    words = ["-f", "allowed_signers", "-I", "nixos-images-root", "-n", "nixos-images-keys"]
    command = ["ssh-keygen", "-Y", "verify", *words, "-s", "keys.json.sig"]
    return run(folder, command, "keys.json")


def minisign_accepts(folder: Path, name: str) -> bool:
    return run(folder, ["minisign", "-V", "-q", "-p", "minisign.pub", "-m", name])


def digest_is_good(folder: Path) -> bool:
    return run(folder, ["sha256sum", "--ignore-missing", "-c", "--status", SUMS])


def run(folder: Path, command: list[str], given: str = "/dev/null") -> bool:
    with (folder / given).open("rb") as source:
        done = subprocess.run(command, cwd=folder, stdin=source, capture_output=True, check=False)
    return done.returncode == 0


def test_everything_of_a_release_is_accepted_by_the_tools_that_readers_have(
    client: Client, tmp_path: Path
) -> None:
    release = stored_release(channel(), "1.0")
    folder = fetched(client, release, tmp_path / "reader")
    for name in (SUMS, MANIFEST):
        assert ssh_accepts(folder, name)
        assert minisign_accepts(folder, name)
    assert digest_is_good(folder)
    assert root_is_good(folder)
    said = subprocess.run(
        ["minisign", "-V", "-Q", "-p", "minisign.pub", "-m", SUMS],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    wanted = f"file:{SUMS} channel:demo version:1.0 system:x86_64-linux sequence:1"
    assert said == wanted


def test_signatures_of_what_moves_follow_the_heads(client: Client, tmp_path: Path) -> None:
    of = channel()
    for version in ("1.0", "2.0"):
        release = stored_release(of, version)
        folder = fetched(client, release, tmp_path / version)
        for name in ("SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.minisig"):
            data = body(client.get(f"/releases/download/demo/{name}"))
            assert data == artifacts().read(f"releases/download/demo/{name}")
            (folder / name).write_bytes(data)
        assert ssh_accepts(folder, "SHA256SUMS")
        assert minisign_accepts(folder, "SHA256SUMS")


def test_signature_for_another_purpose_is_not_accepted(
    client: Client, tmp_path: Path, signer_keys: Path
) -> None:
    folder = fetched(client, stored_release(channel(), "1.0"), tmp_path / "reader")
    key = Keyring(signer_keys).read().current
    assert key is not None
    private = signer_keys / "release" / key.id / "ssh"
    for namespace, is_good in (("nixos-images", True), ("file", False), ("git", False)):
        signature = sshsig.sign((folder / SUMS).read_bytes(), private, namespace)
        (folder / f"{SUMS}.sig").write_bytes(signature)
        assert ssh_accepts(folder, SUMS) == is_good
    root = sshsig.sign((folder / SUMS).read_bytes(), signer_keys / "root", "nixos-images")
    (folder / f"{SUMS}.sig").write_bytes(root)
    assert not ssh_accepts(folder, SUMS)


def flip(path: Path, bit: int) -> bytes:
    """Turn one bit of a file around; its bytes before."""
    before = path.read_bytes()
    data = bytearray(before)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return before


def meaning(name: str, data: bytes) -> bytes:
    """What a signature file says, without what its form leaves open: white space, a remark."""
    lines = data.split(b"\n")
    if name.endswith(".minisig"):
        return b"\n".join(lines[1:])
    armor = [line for line in lines if not line.startswith(b"-----")]
    return b"".join(b"".join(armor).split())


CHECKS: dict[str, list[Callable[[Path], bool]]] = {
    INITRD: [digest_is_good],
    SUMS: [lambda f: ssh_accepts(f, SUMS), lambda f: minisign_accepts(f, SUMS)],
    MANIFEST: [lambda f: ssh_accepts(f, MANIFEST), lambda f: minisign_accepts(f, MANIFEST)],
    f"{SUMS}.sig": [lambda f: ssh_accepts(f, SUMS)],
    f"{MANIFEST}.sig": [lambda f: ssh_accepts(f, MANIFEST)],
    f"{SUMS}.minisig": [lambda f: minisign_accepts(f, SUMS)],
    f"{MANIFEST}.minisig": [lambda f: minisign_accepts(f, MANIFEST)],
}


def test_thousand_single_bit_flips_are_all_refused(client: Client, tmp_path: Path) -> None:
    folder = fetched(client, stored_release(channel(), "1.0"), tmp_path / "reader")
    draw = random.Random(1)
    names, flipped, tried = sorted(CHECKS), 0, 0
    while flipped < FLIPS:
        name = names[tried % len(names)]
        tried += 1
        path = folder / name
        before = flip(path, draw.randrange(path.stat().st_size * 8))
        is_signature = naming.is_signature(name)
        if is_signature and meaning(name, before) == meaning(name, path.read_bytes()):
            path.write_bytes(before)  # the very same signature, written otherwise
            continue
        check = draw.choice(CHECKS[name])
        assert not check(folder), f"{name} was accepted: {path.read_bytes()!r}"
        flipped += 1
        path.write_bytes(before)
    assert all(check(folder) for checks in CHECKS.values() for check in checks)
