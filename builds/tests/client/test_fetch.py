"""Fetching from a real portal: continued, verified, never backwards."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from builds.models import Artifact, Release
from builds.pipeline import documents, naming
from builds.tests.client.conftest import Command, MakeRelease
from builds.tests.client.cutting import cutting
from builds.tests.webs import MakeWeb

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = "x86_64-linux"
FETCH = ("fetch", "demo", "--system", SYSTEM)
BIG = 8 * 2**20


def kernel(release: Release) -> Artifact:
    return release.artifacts.get(role="kernel")


def make_big(release: Release, storage: Path) -> tuple[Artifact, bytes]:
    """Give the initrd some megabytes, in file, row, sums and manifest."""
    artifact = release.artifacts.get(role="initrd")
    data = bytes(range(256)) * (BIG // 256)
    path = storage / artifact.key
    path.unlink()
    path.write_bytes(data)
    release.artifacts.filter(pk=artifact.pk).update(
        size=BIG, sha256=hashlib.sha256(data).hexdigest()
    )
    fresh = Release.objects.get(pk=release.pk)
    for name, paper in (
        (naming.sums_name(SYSTEM), documents.release_sums(fresh)),
        (naming.manifest_name(SYSTEM), documents.manifest(fresh)),
    ):
        file = path.with_name(name)
        file.unlink()
        file.write_bytes(paper)
    return fresh.artifacts.get(pk=artifact.pk), data


def test_files_arrive_whole_under_their_names(
    client: Command, publish: MakeRelease, make_web: MakeWeb
) -> None:
    release = publish()
    web = make_web()
    done = client(web.url, *FETCH, "-o", "here")
    assert done.code == 0, done.err
    folder = client.home / "here"
    names = {artifact.name for artifact in release.artifacts.all()}
    assert {path.name for path in folder.iterdir()} == {*names, f"SHA256SUMS-{SYSTEM}"}
    check = ["sha256sum", "--check", "--strict", f"SHA256SUMS-{SYSTEM}"]
    subprocess.run(check, cwd=folder, check=True, capture_output=True)
    assert done.out.splitlines() == [f"here/{name.name}" for name in release.artifacts.all()]
    assert "NOT verified: who made it: no keys are trusted yet" in done.err
    again = client(web.url, *FETCH, "-o", "here", "--role", "kernel", "--quiet")
    assert again.out == f"here/{kernel(release).name}\n"
    told = client(web.url, "verify", f"here/{kernel(release).name}")
    assert (told.code, "its SHA-256 is right" in told.out) == (0, True)


def test_portals_own_keys_verify_what_its_signer_has_signed(
    client: Command, publish: MakeRelease, make_web: MakeWeb
) -> None:
    release = publish()
    web = make_web()
    done = client(web.url, *FETCH, "--trust-on-first-use", "--require-signature")
    assert done.code == 0, done.err
    assert "verified: sums and manifest are signed by" in done.err
    assert "NOT verified" not in done.err
    told = client(web.url, "verify", kernel(release).name)
    assert (told.code, f"SHA256SUMS-{SYSTEM} is signed by" in told.out) == (0, True), told.err


def test_what_broke_off_is_continued(
    client: Command, publish: MakeRelease, make_web: MakeWeb, tmp_path: Path
) -> None:
    release = publish()
    artifact, data = make_big(release, tmp_path / "storage")
    web = make_web()
    with cutting(urlsplit(web.url).port or 0, [BIG // 3, BIG // 4, 200]) as way:
        # The record names the address that it was asked at.
        done = client(way.url, *FETCH, "--role", "initrd")
        ranges = [
            line for r in way.requests for line in r.splitlines() if line.startswith("Range: ")
        ]
    assert done.code == 0, done.err
    assert (client.home / artifact.name).read_bytes() == data
    begins = [int(line.removeprefix("Range: bytes=").rstrip("-")) for line in ranges]
    assert len(begins) >= 2
    assert begins == sorted(begins)
    assert begins[0] > 2 * 2**20, "what had come was not fetched again"
    assert f'If-Range: "{artifact.sha256}"' in "".join(way.requests)


def test_next_command_continues_what_an_earlier_one_began(
    client: Command, publish: MakeRelease, make_web: MakeWeb, tmp_path: Path
) -> None:
    release = publish()
    artifact, data = make_big(release, tmp_path / "storage")
    web = make_web()
    part = client.home / f".{artifact.name}.{artifact.sha256[:16]}.part"
    part.write_bytes(data[: BIG // 2])
    with cutting(urlsplit(web.url).port or 0, []) as way:
        done = client(way.url, *FETCH, "--role", "initrd")
        assert any(f"Range: bytes={BIG // 2}-" in request for request in way.requests)
    assert done.code == 0, done.err
    assert (client.home / artifact.name).read_bytes() == data
    assert not part.exists()


def test_flipped_byte_is_refused_and_nothing_is_kept(
    client: Command, publish: MakeRelease, make_web: MakeWeb, tmp_path: Path
) -> None:
    release = publish()
    with (tmp_path / "storage" / kernel(release).key).open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    done = client(make_web().url, *FETCH, "--role", "kernel", "-o", "here")
    assert done.code == 4
    assert "damaged or was changed on its way" in done.err
    assert list((client.home / "here").iterdir()) == []


def test_flipped_byte_of_a_part_is_refused_too(
    client: Command, publish: MakeRelease, make_web: MakeWeb
) -> None:
    artifact = kernel(publish())
    part = client.home / f".{artifact.name}.{artifact.sha256[:16]}.part"
    part.write_bytes(b"x")
    web = make_web()
    assert client(web.url, *FETCH, "--role", "kernel").code == 4
    assert not part.exists()
    assert client(web.url, *FETCH, "--role", "kernel").code == 0


def test_older_release_than_was_seen_is_refused(
    client: Command, publish: MakeRelease, make_web: MakeWeb
) -> None:
    now = timezone.now()
    first = publish(at=now - timedelta(days=9))
    second = publish(channel=first.channel, at=now - timedelta(days=2))
    web = make_web()
    assert client(web.url, *FETCH, "--role", "kernel").code == 0
    second.withdraw("It does not boot.", at=now)
    done = client(web.url, *FETCH, "--role", "kernel")
    assert done.code == 5
    assert str(second.version) in done.err
    assert str(first.version) in done.err
    assert client(web.url, *FETCH, "--role", "kernel", "--allow-older").code == 0
    assert client(web.url, *FETCH, "--role", "kernel").code == 0


def test_latest_tells_people_and_programs(
    client: Command, publish: MakeRelease, make_web: MakeWeb
) -> None:
    release = publish()
    web = make_web()
    done = client(web.url, "latest", "demo", SYSTEM)
    assert done.code == 0
    assert f"demo {release.version} {SYSTEM}, release {release.sequence}" in done.out
    record = json.loads(client(web.url, "latest", "demo", SYSTEM, "--json").out)
    assert record["version"] == release.version
    url = client(web.url, "latest", "demo", SYSTEM, "--url", "kernel").out.strip()
    assert url == f"{web.url}/{kernel(release).key}"


def test_what_is_not_there_is_told_plainly(
    client: Command, publish: MakeRelease, make_web: MakeWeb
) -> None:
    publish()
    web = make_web()
    done = client(web.url, "latest", "nowhere", SYSTEM)
    assert done.code == 3
    assert done.err == "nixos-images: There is no channel nowhere. Channels: demo.\n"
    assert client(web.url, *FETCH, "--role", "iso").code == 3
    assert client("", "latest", "demo", SYSTEM).code == 2
    assert client("ftp://x", "latest", "demo", SYSTEM).code == 2
    away = client("http://127.0.0.1:9", "latest", "demo", SYSTEM)
    assert (away.code, away.err.count("\n")) == (1, 1)
    assert "Traceback" not in away.err
