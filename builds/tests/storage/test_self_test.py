"""What a bucket must do is tried at the start, on a real server and on ones that do it wrong."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.core.management import CommandError

from builds.management.commands.prepare import try_storage
from builds.storage import INCOMING, BucketStorage, Unfit, artifacts, try_out
from builds.tests import s3
from conftest import BUCKET

DONE = b"<CompleteMultipartUploadResult/>"
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


def bucket_at(address: str) -> BucketStorage:
    return BucketStorage(
        bucket_name=BUCKET,
        endpoint_url=address,
        region_name="us-east-1",
        access_key=s3.ACCESS_KEY,
        secret_key=s3.SECRET_KEY,
    )


@pytest.fixture
def forgetful(s3_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The real server behind a door that says “done” where it refused to write a file over.

    That is what servers say that don't know the condition. (It can't be taken out of a request:
    it is signed.)
    """
    there = urlsplit(s3_server).netloc

    class Door(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            line = http.client.HTTPConnection(there)
            line.request(self.command, self.path, body, dict(self.headers.items()))
            got = line.getresponse()
            data, status = got.read(), got.status
            if (self.command, status) == (request.param, 412):
                data, status = DONE, 200
            self.send_response(status)
            for name, value in got.getheaders():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            line.close()

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        setattr(Door, f"do_{method}", Door.answer)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_real_server_does_all_of_it_and_nothing_is_left(bucket: None) -> None:
    storage = artifacts()
    assert isinstance(storage, BucketStorage)
    assert try_out(storage) == []
    assert [left.key for left in storage.walk(INCOMING) if "self-test" in left.key] == []
    assert try_storage() == []


def test_front_server_finds_nothing_of_a_time_when_files_lay_in_a_folder(
    bucket: None, settings: LazySettings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    left = tmp_path / "storage" / ".public" / "releases" / "download" / "demo" / "1.0" / "iso"
    left.mkdir(parents=True)
    try_storage()
    assert [path.name for path in (tmp_path / "storage").iterdir()] == []


@pytest.mark.parametrize(
    ("forgetful", "why"),
    [("PUT", "written over"), ("POST", "in parts")],
    indirect=["forgetful"],
)
def test_server_that_forgets_who_came_first_is_refused(
    forgetful: str, why: str, settings: LazySettings
) -> None:
    with pytest.raises(Unfit, match=why):
        try_out(bucket_at(forgetful))
    options = {"bucket_name": BUCKET, "endpoint_url": forgetful, "region_name": "us-east-1"}
    options |= {"access_key": s3.ACCESS_KEY, "secret_key": s3.SECRET_KEY}
    storage = {"BACKEND": "builds.storage.BucketStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "artifacts": storage}
    with pytest.raises(CommandError, match="can't be relied on"):
        try_storage()


def test_storage_that_is_away_stops_no_start(settings: LazySettings) -> None:
    options = {"bucket_name": BUCKET, "endpoint_url": "http://127.0.0.1:9", "region_name": "x"}
    options |= {"access_key": "a", "secret_key": "b"}
    storage = {"BACKEND": "builds.storage.BucketStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "artifacts": storage}
    [line] = try_storage()
    assert "could not be tried" in line
