"""A real S3 server for tests: started on demand, killed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from builds.tests.ports import free_port

ACCESS_KEY = "portal"
SECRET_KEY = "portal-secret-key"
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
SERVERS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class Server:
    """A server; its log tells why it did not start."""

    port: int
    log: Path
    ip: str = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"http://{self.ip}:{self.port}"

    def make_bucket(self, name: str) -> None:
        """Make a bucket as soon as the server is there. Raises TimeoutError."""
        client: Any = boto3.client(
            "s3",
            endpoint_url=self.address,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}),
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                client.create_bucket(Bucket=name)
                return
            time.sleep(0.3)
        raise TimeoutError(f"the S3 server did not start:\n{self.log.read_text()[-2000:]}")


@contextlib.contextmanager
def serving(folder: Path, ip: str = "127.0.0.1", *, volumes: int = 20) -> Iterator[Server]:
    """A server without buckets whose files lie in a folder, with room for so many times 256 MB."""
    identity = {
        "name": "portal",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ACTIONS,
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = {name: free_port() for name in SERVERS}
    words = [
        f"-ip={ip}",
        f"-dir={folder}",
        "-s3",
        f"-s3.config={folder}/s3.json",
        f"-volume.max={volumes}",
        "-master.volumeSizeLimitMB=256",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={free_port()}" for name in SERVERS),
        "-s3.port.iceberg=0",  # on fixed ports where they are on: two runs would not fit
        "-s3.port.lance=0",
    ]
    server = Server(ports["s3"], folder / "log", ip)
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("weed"), "server", *words],
            stdout=log,
            stderr=log,
            env=os.environ | {"GOMEMLIMIT": "512MiB"},
        )
    try:
        yield server
    finally:
        process.kill()  # its data goes with the folder; an orderly stop takes half a minute
        process.wait()
