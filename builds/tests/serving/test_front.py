"""nginx sends the files of releases; what moves, was taken back or is none is the portal's."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.utils import timezone

from builds import pipeline
from builds.models import Artifact, Damage
from builds.pipeline import naming
from builds.pipeline.publish import is_told
from builds.pipeline.reconcile import finish_moving
from builds.storage import artifacts
from builds.tests import front
from builds.tests.downloads.conftest import SYSTEM, Weeks
from builds.tests.front import Front
from builds.tests.serving.asking import Answer, ask
from builds.tests.serving.conftest import Served, in_bucket
from builds.tests.webs import MakeWeb

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = "/releases/download/demo"
INITRD = f"initrd-{SYSTEM}"
TARBALL = f"nixos-kexec-installer-{SYSTEM}.tar.gz"
SUMS = naming.sums_name(SYSTEM)
MANIFEST = naming.manifest_name(SYSTEM)
SCRIPT = naming.script_name(SYSTEM)
SEEN = (
    *("content-type", "content-length", "content-disposition", "etag", "repr-digest"),
    *("cache-control", "x-content-type-options", "last-modified", "accept-ranges"),
)
KINDS = ("from_folder", "from_bucket")


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Served:
    served: Served = request.getfixturevalue(request.param)
    return served


def artifact(weeks: Weeks, name: str) -> Artifact:
    return weeks.second.artifacts.get(name=name)


def sent_by_itself(front: Front) -> int:
    """How many answers nginx gave without asking the portal."""
    return len(front.log.read_text().splitlines())


def where(settings: LazySettings) -> tuple[bool, dict[str, str]]:
    """Whether the files lie in a folder, else the settings of a portal that has them in S3."""
    storage: dict[str, Any] = settings.STORAGES["artifacts"]
    if storage["BACKEND"].endswith("FolderStorage"):
        return True, {}
    return False, in_bucket(storage["OPTIONS"]["endpoint_url"])


def headers(answer: Answer) -> dict[str, str | None]:
    return {name: answer.headers.get(name) for name in SEEN}


@pytest.mark.parametrize("served", KINDS, indirect=True)
def test_every_file_comes_with_the_headers_that_the_portal_gives_it(
    served: Served, make_web: MakeWeb, settings: LazySettings
) -> None:
    front, _ = served
    is_folder, chosen = where(settings)
    alone = make_web(X_ACCEL_REDIRECT="false", **chosen)
    names = [INITRD, TARBALL, SCRIPT, MANIFEST, SUMS, SYSTEM.kernel_name]
    paths = [f"{ROOT}/2.0/{name}" for name in names] + [f"{ROOT}/{INITRD}", f"{ROOT}/{SCRIPT}"]
    paths += [f"/nix-community/nixos-images{ROOT}/2.0/{TARBALL}", f"{ROOT}/2.0/{SUMS}.sig"]

    for path in paths:
        through, direct = ask(front.url, path), ask(alone.url, path)
        assert through.status == 200, path
        assert headers(through) == headers(direct), path
        assert through.body == direct.body
        assert "content-encoding" not in through.headers
        assert through.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert ask(front.url, path, "HEAD").headers["content-length"] == str(len(direct.body))
        seen = ask(front.url, path, If_None_Match=f'"other", {through.headers["etag"]}')
        assert (seen.status, seen.body) == (304, b"")
        also = ask(alone.url, path, If_None_Match=f'"other", {through.headers["etag"]}')
        for told in ("etag", "cache-control", "content-disposition", "repr-digest"):
            assert seen.headers.get(told) == also.headers.get(told), f"{told} of {path}"
    assert sent_by_itself(front) == (3 * 7 if is_folder else 0)
    assert front.errors == ""


@pytest.mark.parametrize("served", KINDS, indirect=True)
@pytest.mark.parametrize("path", [f"{ROOT}/2.0/{INITRD}", f"{ROOT}/{INITRD}"])
def test_ranges_are_of_the_bytes_that_have_the_etag(served: Served, path: str) -> None:
    front, weeks = served
    whole = ask(front.url, path)
    size = len(whole.body)

    part = ask(front.url, path, Range="bytes=100-")
    fresh = ask(front.url, path, Range="bytes=100-", If_Range=whole.headers["etag"])
    stale = ask(front.url, path, Range="bytes=100-", If_Range='"of last week"')
    beyond = ask(front.url, path, Range=f"bytes={size}-")

    assert whole.headers["etag"] == f'"{artifact(weeks, INITRD).sha256}"'
    assert (part.status, part.body) == (206, whole.body[100:])
    assert part.headers["content-range"] == f"bytes 100-{size - 1}/{size}"
    assert part.headers["etag"] == whole.headers["etag"]
    assert (fresh.status, fresh.body) == (206, whole.body[100:])
    assert (stale.status, stale.body) == (200, whole.body)
    assert beyond.status == 416


@pytest.mark.parametrize("served", KINDS, indirect=True)
def test_withdrawn_damaged_and_unknown_files_are_the_portals_to_answer(served: Served) -> None:
    front, weeks = served
    pipeline.withdraw(weeks.first, "It eats disks.", by=None, at=timezone.now())
    release = weeks.second
    Damage.objects.note(release, TARBALL, "It is missing.", at=timezone.now())
    finish_moving()

    withdrawn = ask(front.url, f"{ROOT}/1.0/{INITRD}")
    assert withdrawn.status == 410
    assert b"It eats disks." in withdrawn.body
    assert ask(front.url, f"{ROOT}/1.0/{SUMS}").status == 410
    assert ask(front.url, f"{ROOT}/2.0/{TARBALL}").status == 410
    assert ask(front.url, f"{ROOT}/2.0/{INITRD}").status == 200
    for path in ("2.0/nothing", "2.0/.hidden", f".public/{INITRD}", "3.0/../2.0/nothing"):
        assert ask(front.url, f"{ROOT}/{path}").status == 404, path
    assert ask(front.url, f"/_storage/releases/download/demo/2.0/{INITRD}").status == 404
    assert ask(front.url, f"{ROOT}/2.0/{INITRD}", "POST").status == 405


def test_drafts_and_what_lies_beside_a_release_are_not_handed_out(from_folder: Served) -> None:
    front, weeks = from_folder
    for name in ("build-netboot.1.log.gz", "check-1.png"):
        artifacts().write_once(weeks.second.key(name), b"not for everybody")
        assert ask(front.url, f"{ROOT}/2.0/{name}").status == 404
    artifacts().write_once(f"releases/download/demo/3.0/{INITRD}", b"of a draft")
    assert ask(front.url, f"{ROOT}/3.0/{INITRD}").status == 404


def test_links_that_a_killed_worker_did_not_write_are_written_by_reconcile(
    from_folder: Served, settings: LazySettings
) -> None:
    front, weeks = from_folder
    folder = f"releases/download/{weeks.channel}"
    artifacts().show(folder, {})
    assert ask(front.url, f"{ROOT}/2.0/{INITRD}").status == 200, "the portal sends nginx to it"
    assert sent_by_itself(front) == 0
    assert not is_told(weeks.channel.name)

    finish_moving()

    ask(front.url, f"{ROOT}/2.0/{INITRD}")
    assert sent_by_itself(front) == 1
    settings.X_ACCEL_REDIRECT = False
    finish_moving()
    assert artifacts().shows(folder, {}), "without a front server nothing is left to one"


def test_what_nginx_sent_by_itself_is_counted_from_its_log(from_folder: Served) -> None:
    front, weeks = from_folder
    path = f"{ROOT}/2.0/{INITRD}"
    for _ in range(3):
        ask(front.url, path)
    ask(front.url, path, Range="bytes=10-")
    ask(front.url, path, If_None_Match=f'"{artifact(weeks, INITRD).sha256}"')
    ask(front.url, f"{ROOT}/{INITRD}")  # counted by the portal

    [*_, progress] = pipeline.count_log(front.log, at=timezone.now())

    assert (progress.lines, progress.downloads) == (5, 3)


def test_pages_go_to_https_and_what_machines_load_stays_plain(
    stored: Weeks, make_web: MakeWeb, tmp_path: Path
) -> None:
    web = make_web(X_ACCEL_REDIRECT="true", PORTAL_URL="http://127.0.0.1")
    with front.serving(tmp_path / "nginx", tmp_path, web.url, TO_HTTPS=1) as server:
        pages = (
            "/",
            "/releases/demo/2.0/x86_64-linux/",
            "/accounts/login/",
            "/api/v1/",
            "/boot/",
        )
        for path in pages:
            answer = ask(server.url, path)
            assert (answer.status, answer.headers["location"]) == (301, f"https://127.0.0.1{path}")
        plain = (
            f"{ROOT}/{SCRIPT}",
            f"{ROOT}/2.0/{INITRD}",
            f"/releases/latest/download/{INITRD}",
            f"/nix-community/nixos-images{ROOT}/{INITRD}",
            "/boot.ipxe",
            "/boot/demo.ipxe",
            "/k/demo",
            "/healthz",
        )
        for path in plain:
            assert ask(server.url, path).status == 200, path
        curl: list[str | Path] = [
            "curl",
            "-sk",
            "--http2",
            "-H",
            "Accept: text/html",
            "-o",
            tmp_path / "page",
        ]
        curl += ["-w", "%{http_version} %{http_code}"]
        done = subprocess.run([*curl, f"{server.https_url}/"], capture_output=True, check=True)
        assert done.stdout == b"2 200"
        assert b"<html" in (tmp_path / "page").read_bytes()


def test_large_files_are_redirected_where_that_is_set_and_boot_files_never(
    s3_server: str, stored_in_bucket: Weeks, make_web: MakeWeb
) -> None:
    stored = stored_in_bucket
    signed = make_web(DOWNLOAD_REDIRECT="signed", **in_bucket(s3_server))
    public = make_web(DOWNLOAD_REDIRECT="https://cdn.example.org/images", **in_bucket(s3_server))

    for name in (INITRD, SYSTEM.kernel_name, SCRIPT, SUMS):
        for path in (f"{ROOT}/2.0/{name}", f"{ROOT}/{name}"):
            if name != SUMS or "2.0" in path:
                assert ask(signed.url, path).status == 200, path
    answer = ask(signed.url, f"{ROOT}/{TARBALL}")
    assert (answer.status, answer.headers["cache-control"]) == (302, "no-cache")
    there = answer.headers["location"].removeprefix(s3_server)
    assert ask(s3_server, there).body == artifacts().read(weeks_key(stored))
    elsewhere = ask(public.url, f"{ROOT}/2.0/{TARBALL}").headers["location"]
    assert elsewhere == f"https://cdn.example.org/images{ROOT}/2.0/{TARBALL}"
    pipeline.withdraw(stored.second, "It eats disks.", by=None, at=timezone.now())
    assert ask(signed.url, f"{ROOT}/2.0/{TARBALL}").status == 410


def weeks_key(weeks: Weeks) -> str:
    return weeks.second.key(TARBALL)


@pytest.mark.parametrize("served", KINDS, indirect=True)
def test_readers_and_writers_that_are_slow_hold_nobody_up(
    served: Served, make_web: MakeWeb, settings: LazySettings, tmp_path: Path
) -> None:
    """More of them than the portal has threads."""
    _, weeks = served
    is_folder, chosen = where(settings)
    few = make_web(threads=2, X_ACCEL_REDIRECT="true", **chosen)
    big = b"b" * 4 * 1024**2
    key = weeks.second.key(INITRD)
    artifacts().delete(key)
    artifacts().write_once(key, big)
    Artifact.objects.filter(release=weeks.second, name=INITRD).update(size=len(big))
    names = {} if is_folder else {"BUCKET_ORIGIN": chosen["AWS_S3_ENDPOINT_URL"]}
    with front.serving(tmp_path / "few", tmp_path, few.url, **names) as server:
        slow = [reader(server.url, f"{ROOT}/{INITRD}") for _ in range(8)]
        slow += [writer(server.url) for _ in range(8)]
        time.sleep(0.5)
        begun = time.monotonic()
        assert ask(server.url, "/healthz").status == 200
        assert time.monotonic() - begun < 2
        for each in slow:
            each.close()


def reader(url: str, path: str) -> socket.socket:
    """Somebody who asks for a file and reads nothing of it."""
    line = socket.create_connection(("127.0.0.1", urlsplit(url).port or 80))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return line


def writer(url: str) -> socket.socket:
    """Somebody who never comes to the end of what he sends."""
    line = socket.create_connection(("127.0.0.1", urlsplit(url).port or 80))
    line.sendall(
        b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nu"
    )
    return line
