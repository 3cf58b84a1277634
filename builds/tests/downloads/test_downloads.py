"""Download URLs as curl, iPXE and mirrors use them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, cast

import pytest
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client
from django.utils import timezone

from builds.choices import System
from builds.tests.downloads.conftest import Weeks, stored_release

KERNEL = "bzImage-x86_64-linux"
MOVING = f"/releases/download/demo/{KERNEL}"
FIRST = f"/releases/download/demo/1.0/{KERNEL}"


def body(response: HttpResponseBase) -> bytes:
    if response.streaming:
        return b"".join(cast("Any", cast("StreamingHttpResponse", response).streaming_content))
    return cast("Any", response).content  # type: ignore[no-any-return]


def test_moving_url_gives_the_newest_and_the_immutable_one_its_own(
    client: Client, weeks: Weeks
) -> None:
    assert body(client.get(MOVING)).startswith(b"bzImage-x86_64-linux of 2.0")
    assert body(client.get(FIRST)).startswith(b"bzImage-x86_64-linux of 1.0")


@pytest.mark.parametrize(
    "path",
    [
        f"/releases/latest/download/{KERNEL}",
        f"/nix-community/nixos-images/releases/latest/download/{KERNEL}",
        f"/nix-community/nixos-images{MOVING}",
    ],
)
def test_address_of_the_seed_gives_the_same(client: Client, weeks: Weeks, path: str) -> None:
    assert body(client.get(path)) == body(client.get(MOVING))


def test_answer_carries_length_digest_and_caching(client: Client, weeks: Weeks) -> None:
    response = client.get(FIRST)
    data = body(response)
    digest = hashlib.sha256(data)

    assert response["Content-Length"] == str(len(data))
    assert response["ETag"] == f'"{digest.hexdigest()}"'
    assert response["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert "Content-Encoding" not in response
    assert "Set-Cookie" not in response
    assert client.head(MOVING)["Cache-Control"] == "no-cache"


def test_head_says_the_same_without_the_body(client: Client, weeks: Weeks) -> None:
    full, head = client.get(FIRST), client.head(FIRST)

    assert body(full)
    assert body(head) == b""
    for name in ("Content-Length", "ETag", "Repr-Digest", "Content-Type", "Accept-Ranges"):
        assert head[name] == full[name]


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-", 0, None), ("bytes=5-9", 5, 10), ("bytes=-4", -4, None)],
)
def test_range_gives_that_part(
    client: Client, weeks: Weeks, header: str, start: int, end: int | None
) -> None:
    whole = body(client.get(FIRST))

    response = client.get(FIRST, headers={"Range": header})

    assert response.status_code == 206
    assert body(response) == whole[start:end]
    assert response["Content-Length"] == str(len(whole[start:end]))
    assert response["Content-Range"].endswith(f"/{len(whole)}")


def test_range_outside_is_416_with_the_size(client: Client, weeks: Weeks) -> None:
    size = client.head(FIRST)["Content-Length"]

    response = client.get(FIRST, headers={"Range": f"bytes={size}-"})

    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{size}"


def test_resumed_download_of_a_moved_file_starts_anew(client: Client, weeks: Weeks) -> None:
    old = client.head(FIRST)["ETag"]

    response = client.get(MOVING, headers={"Range": "bytes=5-", "If-Range": old})

    assert response.status_code == 200
    assert body(response).startswith(b"bzImage-x86_64-linux of 2.0")


def test_known_bytes_are_not_sent_again(client: Client, weeks: Weeks) -> None:
    etag = client.head(FIRST)["ETag"]

    response = client.get(FIRST, headers={"If-None-Match": etag})

    assert response.status_code == 304
    assert body(response) == b""


def test_sums_of_the_moving_folder_hold_for_what_it_gives(client: Client, weeks: Weeks) -> None:
    stored_release(weeks.channel, "2.0", System.AARCH64)

    sums = body(client.get("/releases/download/demo/SHA256SUMS")).decode()

    names = []
    for line in sums.splitlines():
        digest, name = line.split("  ")
        data = body(client.get(f"/releases/download/demo/{name}"))
        assert hashlib.sha256(data).hexdigest() == digest, name
        names.append(name)
    assert len(names) == 8


def test_sums_and_manifest_of_a_release_hold_for_its_folder(client: Client, weeks: Weeks) -> None:
    folder = "/releases/download/demo/1.0"

    sums = body(client.get(f"{folder}/SHA256SUMS-x86_64-linux")).decode()

    assert len(sums.splitlines()) == 4
    for line in sums.splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(body(client.get(f"{folder}/{name}"))).hexdigest() == digest
    manifest = client.get(f"{folder}/release-x86_64-linux.json")
    assert manifest["Content-Type"] == "application/json"
    assert b'"version":"1.0"' in body(manifest)


@pytest.mark.parametrize("name", [KERNEL, "netboot-x86_64-linux.ipxe"])
def test_digest_file_holds_for_the_file_beside_it(client: Client, weeks: Weeks, name: str) -> None:
    for folder in ("/releases/download/demo", "/releases/download/demo/1.0"):
        line = body(client.get(f"{folder}/{name}.sha256")).decode()
        data = body(client.get(f"{folder}/{name}"))
        assert line == f"{hashlib.sha256(data).hexdigest()}  {name}\n"


def test_moving_script_pairs_kernel_and_initrd_of_one_release(client: Client, weeks: Weeks) -> None:
    script = body(client.get("/releases/download/demo/netboot-x86_64-linux.ipxe")).decode()

    assert script.startswith("#!ipxe\n")
    assert "kernel 2.0/bzImage-x86_64-linux initrd=initrd-x86_64-linux console=ttyS0" in script
    assert "initrd --name initrd-x86_64-linux 2.0/initrd-x86_64-linux" in script
    assert "1.0" not in script


@pytest.mark.parametrize(
    "path",
    [
        "/releases/download/demo/nothing",
        "/releases/download/demo/1.0/nothing",
        "/releases/download/demo/9.9/bzImage-x86_64-linux",
        "/releases/download/other/bzImage-x86_64-linux",
        "/releases/download/demo/1.0/deeper/file",
        "/releases/download/demo/..%2f..%2fportal.sqlite3",
        "/releases/download/demo/SHA256SUMS-x86_64-linux",
        "/releases/latest/download/nothing",
    ],
)
def test_unknown_name_is_a_plain_404(client: Client, weeks: Weeks, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/plain")
    assert "<" not in body(response).decode()


def test_draft_is_not_readable(client: Client, weeks: Weeks) -> None:
    release = stored_release(weeks.channel, "3.0")
    type(release).objects.filter(pk=release.pk).update(status="draft")

    for name in (KERNEL, "SHA256SUMS-x86_64-linux", "netboot-x86_64-linux.ipxe"):
        assert client.get(f"/releases/download/demo/3.0/{name}").status_code == 404


def test_withdrawn_release_is_gone_and_names_its_successor(client: Client, weeks: Weeks) -> None:
    weeks.first.withdraw("it eats disks", at=timezone.now())

    for name in (KERNEL, "SHA256SUMS-x86_64-linux", f"{KERNEL}.sha256"):
        response = client.get(f"/releases/download/demo/1.0/{name}")
        assert response.status_code == 410
        text = body(response).decode()
        assert "it eats disks" in text
        assert "/releases/demo/2.0/x86_64-linux/" in text


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_writing_to_a_download_is_refused(client: Client, weeks: Weeks, method: str) -> None:
    assert getattr(client, method)(FIRST).status_code == 405


def test_host_that_is_not_ours_gets_nothing(client: Client, weeks: Weeks) -> None:
    response = client.get("/api/v1/latest/demo/x86_64-linux/", headers={"Host": "evil.example"})

    assert response.status_code == 400
