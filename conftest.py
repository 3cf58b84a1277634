"""Real servers for tests, started on demand and stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.conf import settings as django_settings

from builds.tests import s3
from builds.tests.s3 import free_port

__all__ = ["BUCKET", "free_port"]

BUCKET = "artifacts"


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


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real S3 server with an empty bucket."""
    with s3.serving(tmp_path_factory.mktemp("s3")) as server:
        server.make_bucket(BUCKET)
        yield server.address


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
                "access_key": s3.ACCESS_KEY,
                "secret_key": s3.SECRET_KEY,
            },
        },
    }
