"""A running portal, a token, and a program that uploads."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from builds.choices import Scope, Variant
from builds.models import Channel
from builds.tests import s3
from builds.tests.factories import ChannelFactory
from builds.tests.tokens.conftest import new_token
from builds.tests.webs import MakeWeb
from conftest import BUCKET

SYSTEM = "x86_64-linux"
SCRIPT = b"#!ipxe\nkernel bzImage init=/nix/store/x/init initrd=initrd quiet ${cmdline}\n"
KERNEL, INITRD = f"bzImage-{SYSTEM}", f"initrd-{SYSTEM}"
PIECE = "application/offset+octet-stream"


def netboot(initrd: bytes = b"initrd") -> dict[str, bytes]:
    return {KERNEL: b"kernel", INITRD: initrd, f"netboot-{SYSTEM}.ipxe": SCRIPT}


def wish(files: Mapping[str, bytes], **fields: Any) -> dict[str, Any]:
    listed = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    ]
    return {
        "channel": "demo",
        "system": SYSTEM,
        "version": "26.05.1",
        "files": listed,
        **fields,
    }


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Program:
    """Sends requests as a program does, each on a connection of its own."""

    url: str
    token: str
    pid: int = 0

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; `path` may be an address that the portal gave."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        said = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connect()
        try:
            connection.request(method, urlsplit(path).path, data, said)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)

    def declare(self, files: Mapping[str, bytes], **fields: Any) -> str:
        """The path of a new upload."""
        answer = self.ask("POST", "/api/v1/uploads/", wish(files, **fields))
        assert answer.status == 201, answer.body
        return urlsplit(answer.headers["Location"]).path

    def send(self, upload: str, name: str, data: bytes, start: int = 0) -> Answer:
        return self.ask(
            "PATCH", f"{upload}{name}", data, Content_Type=PIECE, Upload_Offset=str(start)
        )

    def offset(self, upload: str, name: str) -> int:
        answer = self.ask("HEAD", f"{upload}{name}")
        assert answer.status == 200
        return int(answer.headers["Upload-Offset"])

    def break_off(self, upload: str, name: str, data: bytes, after: int) -> None:
        """Send the beginning of a file, and go away in the middle of it."""
        connection = self.connect()
        connection.putrequest("PATCH", f"{upload}{name}")
        connection.putheader("Authorization", f"Bearer {self.token}")
        connection.putheader("Content-Type", PIECE)
        connection.putheader("Upload-Offset", "0")
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders()
        connection.send(data[:after])
        connection.close()


MakeProgram = Callable[..., Program]


@pytest.fixture
def demo(database_url: str) -> Channel:
    channel: Channel = ChannelFactory(
        name="demo", systems=[SYSTEM], variants=[Variant.NETBOOT], checks=[]
    )
    return channel


@pytest.fixture
def make_program(demo: Channel, make_web: MakeWeb) -> MakeProgram:
    """Start a portal with these settings; who uploads to it."""

    def make(**settings: object) -> Program:
        _, text = new_token(Scope.UPLOAD)
        web = make_web(threads=16, TOKEN_RATE=10_000, **settings)
        return Program(web.url, text, web.pid)

    return make


@pytest.fixture
def program(make_program: MakeProgram) -> Program:
    return make_program()


@pytest.fixture
def to_s3(s3_server: str, bucket: None) -> dict[str, str]:
    """Settings of a portal that keeps its files on the S3 server, as this test does."""
    return {
        "AWS_STORAGE_BUCKET_NAME": BUCKET,
        "AWS_S3_ENDPOINT_URL": s3_server,
        "AWS_S3_REGION_NAME": "us-east-1",
        "AWS_S3_ACCESS_KEY_ID": s3.ACCESS_KEY,
        "AWS_S3_SECRET_ACCESS_KEY": s3.SECRET_KEY,
    }
