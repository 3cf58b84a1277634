"""Real servers for tests, started on demand and stopped at the end."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from django.conf import LazySettings
from django.conf import settings as django_settings

BUCKET = "artifacts"
ACCESS_KEY = "portal"
SECRET_KEY = "portal-secret-key"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of our own."""
    parser.addoption(
        "--boot-matrix", metavar="FILE", help="measure all, and write the boot matrix there"
    )


@pytest.fixture(scope="session", autouse=True)
def _static_root() -> None:
    """WhiteNoise warns in every test where the folder of collected files is missing."""
    django_settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def storage_folder(settings: LazySettings, tmp_path: Path) -> Path:
    """Each test has a storage of its own."""
    folder = tmp_path / "storage"
    settings.STORAGES = {
        **settings.STORAGES,
        "artifacts": {
            "BACKEND": "builds.storage.FolderStorage",
            "OPTIONS": {"location": folder},
        },
    }
    return folder


def free_port() -> int:
    """A TCP port of loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real S3 server with an empty bucket."""
    folder = tmp_path_factory.mktemp("s3")
    identities = {
        "identities": [
            {
                "name": "portal",
                "credentials": [
                    {
                        "accessKey": ACCESS_KEY,
                        "secretKey": SECRET_KEY,
                    }
                ],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }
    (folder / "s3.json").write_text(json.dumps(identities))
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command: list[str | Path] = [
        Path(sys.executable).with_name("weed"),
        "server",
        "-ip=127.0.0.1",
        f"-dir={folder}",
        "-s3",
        f"-s3.config={folder}/s3.json",
        "-volume.max=20",
        "-master.volumeSizeLimitMB=256",
        f"-master.port={ports['master']}",
        f"-master.port.grpc={free_port()}",
        f"-volume.port={ports['volume']}",
        f"-volume.port.grpc={free_port()}",
        f"-filer.port={ports['filer']}",
        f"-filer.port.grpc={free_port()}",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={free_port()}",
        "-s3.port.iceberg=0",  # on fixed ports where they are on: two runs would not fit
        "-s3.port.lance=0",
    ]
    environment = os.environ | {"GOMEMLIMIT": "512MiB"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    address = f"http://127.0.0.1:{ports['s3']}"
    try:
        _make_bucket(address, folder / "log")
        yield address
    finally:
        server.kill()  # its data goes with the folder; an orderly stop takes half a minute
        server.wait()


def _make_bucket(address: str, log: Path) -> None:
    client: Any = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            client.create_bucket(Bucket=BUCKET)
            return
        time.sleep(0.3)
    pytest.fail(f"the S3 server did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def bucket(s3_server: str, settings: LazySettings, request: pytest.FixtureRequest) -> None:
    """Let the portal keep its artifacts on the S3 server, below a prefix of this test's own."""
    settings.STORAGES = {
        **settings.STORAGES,
        "artifacts": {
            "BACKEND": "builds.storage.BucketStorage",
            "OPTIONS": {
                "bucket_name": BUCKET,
                "endpoint_url": s3_server,
                "region_name": "us-east-1",
                "access_key": ACCESS_KEY,
                "secret_key": SECRET_KEY,
            },
        },
    }
