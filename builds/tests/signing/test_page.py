"""/verify/: commands that run as they are pasted, with real values, and files of the keys."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds import signing
from builds.signing import cms
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import channel
from builds.tests.webs import MakeWeb, database_url, make_web

__all__ = ["database_url", "make_web"]

SYSTEM = "x86_64-linux"

pytestmark = pytest.mark.django_db

IDS = ("ssh", "minisign", "manifest", "cms", "root", "digest")


def commands(page: str) -> dict[str, str]:
    found = re.findall(r'<pre id="command-(\w+)"[^>]*>(.*?)</pre>', page, re.DOTALL)
    return {name: unescape(text) for name, text in found}


@pytest.mark.django_db(transaction=True)
def test_every_command_runs_as_it_is_pasted_and_notices_a_wrong_byte(
    make_web: MakeWeb, client: Client, tmp_path: Path, settings: Any
) -> None:
    release = stored_release(channel(is_default=True), "1.0")
    web = make_web()
    settings.PORTAL_URL = web.url
    found = commands(client.get("/verify/").content.decode())
    assert tuple(found) == IDS

    def run(name: str, folder: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / folder).mkdir()
        words = ["sh", "-c", found[name]]
        return subprocess.run(
            words, cwd=tmp_path / folder, capture_output=True, text=True, check=False
        )

    for name in IDS:
        done = run(name, name)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    tarball = release.key("nixos-kexec-installer-x86_64-linux.tar.gz")
    artifacts().replace(tarball, (artifacts().read(tarball) or b"").replace(b"of", b"OF"))
    for name in ("ssh", "minisign", "digest"):
        assert run(name, f"{name}-file").returncode != 0, name
    for name in (f"bzImage-{SYSTEM}", f"initrd-{SYSTEM}", f"initrd-{SYSTEM}.p7s"):
        whole = artifacts().read(release.key(name)) or b""
        artifacts().replace(release.key(name), whole[:-1] + bytes([whole[-1] ^ 1]))
        done = run("cms", f"cms-{name}")
        assert done.returncode != 0, name
        artifacts().replace(release.key(name), whole)
    for paper in ("SHA256SUMS-x86_64-linux", "release-x86_64-linux.json"):
        key = release.key(paper)
        artifacts().replace(key, (artifacts().read(key) or b"").replace(b"a", b"b"))
    ca = artifacts().read("keys/boot-ca.pem") or b""
    artifacts().replace("keys/boot-ca.pem", ca + b"\n")
    assert "OK" not in run("cms", "cms-ca").stdout
    keys = artifacts().read("keys/keys.json") or b""
    artifacts().replace("keys/keys.json", keys.replace(b"retired", b"current") + b" ")
    for name in ("ssh", "minisign", "manifest", "root"):
        done = run(name, f"{name}-papers")
        assert done.returncode != 0, name
        assert "OK" not in done.stdout, f"{name} went on"


@pytest.mark.django_db(transaction=True)
def test_root_that_the_machine_trusts_for_the_web_may_sign_no_kernel(
    make_web: MakeWeb, client: Client, tmp_path: Path, settings: Any
) -> None:
    release = stored_release(channel(is_default=True), "1.0")
    settings.PORTAL_URL = make_web().url
    shown = commands(client.get("/verify/").content.decode())["cms"]
    ca, key, trusted = (tmp_path / name for name in ("ca", "key", "trusted"))
    for folder in (ca, key, trusted):
        folder.mkdir()
    made = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=A web root")
    files = ("-keyout", ca / "ca.key", "-out", ca / "ca.pem")
    subprocess.run(["openssl", "req", *made, *files], check=True, capture_output=True)
    until = timezone.now() + timedelta(days=1)
    cms.make_key(key, ca, "somebody", since=timezone.now(), until=until)
    shutil.copy(ca / "ca.pem", trusted)
    subprocess.run(["openssl", "rehash", trusted], check=True)
    for file in release.artifacts.filter(role__in=("kernel", "initrd")):
        artifacts().replace(release.key(f"{file.name}.p7s"), cms.sign(file.sha256, key))

    def run(text: str) -> int:
        environment = os.environ | {"SSL_CERT_DIR": str(trusted)}
        words = ["sh", "-c", text]
        return subprocess.run(words, cwd=tmp_path, env=environment, check=False).returncode

    assert run(shown.replace("-no-CApath -no-CAstore", "")) == 0, "so the words are wanted"
    assert run(shown) != 0


def test_page_follows_channel_and_architecture_and_says_what_is_not_there(client: Client) -> None:
    assert "No channel is set up" in client.get("/verify/").content.decode()
    of, other = channel(is_default=True), channel("other")
    stored_release(of, "1.0")
    stored_release(other, "7.0")
    assert "/demo/1.0/SHA256SUMS-x86_64-linux.sig" in client.get("/verify/").content.decode()
    page = client.get("/verify/?channel=other&system=x86_64-linux").content.decode()
    assert "/other/7.0/SHA256SUMS-x86_64-linux.sig" in page
    page = client.get("/verify/?channel=other&system=aarch64-linux").content.decode()
    assert "Nothing of other is published for aarch64-linux yet." in page
    assert client.get("/verify/?channel=%3Cscript%3E&system=x").status_code == 200


def test_page_asks_few_questions_however_much_there_is(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(4):
        stored_release(channel(f"channel-{number}"), "1.0")
    with django_assert_max_num_queries(8):
        client.get("/verify/")


def test_keys_are_files_here_and_in_the_storage(client: Client) -> None:
    assert client.get("/keys/keys.json").status_code == 404
    stored_release(channel(), "1.0")
    for name in signing.PAPERS:
        answer = client.get(f"/keys/{name}")
        assert body(answer) == artifacts().read(f"keys/{name}")
        assert answer["Cache-Control"] == "no-cache"
    assert client.get("/keys/root").status_code == 404
    assert client.get("/keys/..%2Fkeys%2Froot").status_code == 404


def test_record_names_signatures_that_are_there(client: Client) -> None:
    release = stored_release(channel(), "1.0")
    record = client.get("/api/v1/latest/demo/x86_64-linux/").json()
    sums = record["sums_url"]
    assert record["signatures"] == {"ssh": f"{sums}.sig", "minisign": f"{sums}.minisig"}
    for url in record["signatures"].values():
        answer = client.get(url.removeprefix("http://testserver"))
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-cache", "another key may sign it again"
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert release.signed_by in client.get(release.get_absolute_url()).content.decode()
