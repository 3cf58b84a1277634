"""Who made a release: keys that are trusted, signatures that are wrong, files of other releases."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.tests.client.conftest import Command
from builds.tests.client.mirror import (
    KERNEL,
    SYSTEM,
    VERSION,
    Mirror,
    allowed_signers,
    mirror,
    new_key,
)

FETCH = ("fetch", "demo", "--system", SYSTEM)


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Mirror]:
    with mirror(tmp_path / "mirror") as made:
        yield made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path / "release-key")


@pytest.fixture
def signers(tmp_path: Path, key: Path) -> Path:
    path = tmp_path / "allowed_signers"
    path.write_text(allowed_signers(key))
    return path


def test_signature_of_a_trusted_key_is_verified(
    client: Command, portal: Mirror, key: Path, signers: Path
) -> None:
    portal.sign(key)
    done = client(portal.url, *FETCH, "--allowed-signers", signers, "--require-signature")
    assert done.code == 0, done.err
    assert f"verified: sums and manifest are signed by release of {signers}" in done.err
    assert "NOT verified" not in done.err
    told = client(portal.url, "verify", KERNEL, NIXOS_IMAGES_ALLOWED_SIGNERS=str(signers))
    assert f"SHA256SUMS-{SYSTEM} is signed by release" in told.out
    (client.home / KERNEL).write_bytes(b"something else")
    assert client(portal.url, "verify", KERNEL).code == 4
    asked = client(portal.url, "verify", KERNEL, "--channel", "demo")
    assert asked.code == 4


def test_without_keys_it_says_what_it_does_not_know(
    client: Command, portal: Mirror, key: Path
) -> None:
    portal.sign(key)
    done = client(portal.url, *FETCH)
    assert done.code == 0
    assert "NOT verified: who made it: no keys are trusted yet" in done.err
    assert client(portal.url, *FETCH, "--require-signature").code == 4


def test_keys_of_first_use_are_trusted_from_then_on(
    client: Command, portal: Mirror, key: Path, tmp_path: Path
) -> None:
    portal.sign(key)
    assert client(portal.url, *FETCH, "--trust-on-first-use").code == 0
    assert "signed by release" in client(portal.url, *FETCH).err
    portal.sign(new_key(tmp_path / "other"))
    done = client(portal.url, *FETCH, "--trust-on-first-use")
    assert done.code == 4
    assert "the signature is by none of" in done.err


def test_keys_that_have_not_signed_are_not_kept(
    client: Command, portal: Mirror, key: Path, tmp_path: Path
) -> None:
    portal.sign(key)
    other = new_key(tmp_path / "other")
    (portal.folder / "keys" / "allowed_signers").write_text(allowed_signers(other))
    assert client(portal.url, *FETCH, "--trust-on-first-use").code == 4
    assert not list((client.home / "config").rglob("*.allowed_signers"))


def test_trusted_keys_want_a_signature(client: Command, portal: Mirror, signers: Path) -> None:
    done = client(portal.url, *FETCH, "--allowed-signers", signers)
    assert done.code == 4
    assert "is not signed" in done.err
    assert not (client.home / KERNEL).exists()


def test_changed_sums_under_an_old_signature_are_refused(
    client: Command, portal: Mirror, key: Path, signers: Path
) -> None:
    portal.sign(key)
    portal.data = b"a worse kernel"
    digest = hashlib.sha256(portal.data).hexdigest()
    portal.record["artifacts"][0] |= {"sha256": digest, "size": len(portal.data)}
    portal.manifest["artifacts"][0] |= {"sha256": digest, "size": len(portal.data)}
    portal.sums = f"{digest}  {KERNEL}\n"
    portal.write()
    done = client(portal.url, *FETCH, "--allowed-signers", signers)
    assert done.code == 4
    assert "signature is wrong" in done.err


def test_changed_manifest_under_an_old_signature_is_refused(
    client: Command, portal: Mirror, key: Path, signers: Path
) -> None:
    portal.sign(key)
    for said in (portal.record, portal.manifest):
        said["sequence"] = 99
    portal.write()
    done = client(portal.url, *FETCH, "--allowed-signers", signers)
    assert done.code == 4
    assert "signature is wrong" in done.err, "that of the sums is good"


def test_manifest_and_sums_that_differ_are_refused(client: Command, portal: Mirror) -> None:
    portal.manifest["artifacts"][0]["sha256"] = "0" * 64
    portal.write()
    done = client(portal.url, *FETCH)
    assert done.code == 4
    assert f"sums and manifest differ in {KERNEL}" in done.err


def test_signed_manifest_of_another_sequence_is_refused(
    client: Command, portal: Mirror, key: Path, signers: Path
) -> None:
    portal.sign(key)
    portal.record["sequence"] = 99
    portal.write()
    done = client(portal.url, *FETCH, "--allowed-signers", signers)
    assert done.code == 4
    assert "its sequence is 7" in done.err


@pytest.mark.parametrize("field", ["immutable_url", "sums_url", "manifest_url"])
def test_file_of_another_release_is_refused(client: Command, portal: Mirror, field: str) -> None:
    where = portal.record["artifacts"][0] if field == "immutable_url" else portal.record
    where[field] = where[field].replace(VERSION, "26.05.20260101.1234567")
    portal.write()
    done = client(portal.url, *FETCH)
    assert done.code == 4
    assert "is a file of another release" in done.err


def test_record_of_another_system_is_refused(client: Command, portal: Mirror) -> None:
    portal.record["system"] = "aarch64-linux"
    portal.write()
    assert client(portal.url, *FETCH).code == 4


def test_name_that_leads_out_of_the_folder_is_refused(client: Command, portal: Mirror) -> None:
    portal.record["artifacts"][0]["name"] = "../../evil"
    portal.write()
    done = client(portal.url, *FETCH)
    assert done.code == 4
    assert not (client.home.parent / "evil").exists()


def test_portal_without_ranges_is_fetched_from_anew(client: Command, portal: Mirror) -> None:
    digest = portal.record["artifacts"][0]["sha256"]
    (client.home / f".{KERNEL}.{digest[:16]}.part").write_bytes(portal.data[:100])
    assert client(portal.url, *FETCH).code == 0
    assert (client.home / KERNEL).read_bytes() == portal.data


def test_more_than_was_told_is_refused(client: Command, portal: Mirror) -> None:
    portal.data += b"and more"
    portal.write()
    done = client(portal.url, *FETCH)
    assert done.code == 4
    assert "it should have" in done.err


def test_list_names_channels_and_their_releases(client: Command, portal: Mirror) -> None:
    done = client(portal.url, "list")
    assert done.code == 0, done.err
    assert f"demo                     {SYSTEM}   {VERSION}" in done.out
    assert "aarch64-linux  nothing" in done.out
    (channel,) = json.loads(client(portal.url, "list", "--json").out)
    assert channel["systems"][0]["version"] == VERSION


def test_config_file_names_the_portal(client: Command, portal: Mirror) -> None:
    folder = client.home / "config" / "nixos-images"
    folder.mkdir(parents=True)
    (folder / "config.ini").write_text(f"[portal]\nurl = {portal.url}/\n")
    assert client("", "latest", "demo", SYSTEM).code == 0
    (folder / "config.ini").write_text("url = x")
    assert client("", "latest", "demo", SYSTEM).code == 2


@pytest.mark.parametrize("columns", [0, 40, 120])
def test_terminal_shows_how_far_it_is(client: Command, portal: Mirror, columns: int) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    done = subprocess.run(
        [client.program, *FETCH],
        env=client.environment(portal.url),
        cwd=client.home,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
    )
    shown = os.read(ours, 65536).decode()
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, done.stdout) == (0, f"{KERNEL}\n".encode()), shown
    assert "100%" in shown or columns == 40
    assert "\r" in shown
    assert "\x1b" not in client(portal.url, *FETCH).err
