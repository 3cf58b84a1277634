"""nginx in front of web processes, over releases that are really stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from builds.tests import front, s3
from builds.tests.downloads.conftest import Weeks, stored_release
from builds.tests.front import Front
from builds.tests.models.rows import channel
from builds.tests.webs import MakeWeb
from conftest import BUCKET

Served = tuple[Front, Weeks]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def stored(settings: LazySettings, database_url: str) -> Weeks:
    """Two weeks in the storage that the test has asked for."""
    settings.X_ACCEL_REDIRECT = True
    of = channel(is_default=True)
    return Weeks(of, stored_release(of, "1.0"), stored_release(of, "2.0"))


@pytest.fixture
def from_folder(stored: Weeks, make_web: MakeWeb, tmp_path: Path, stack: ExitStack) -> Served:
    """A front server that sends files from the folder."""
    web = make_web(X_ACCEL_REDIRECT="true", TRUSTED_PROXIES="1")
    return stack.enter_context(front.serving(tmp_path / "nginx", tmp_path, web.url)), stored


def in_bucket(address: str) -> dict[str, Any]:
    """The settings of a portal that keeps its files in the tests' bucket."""
    return {
        "AWS_STORAGE_BUCKET_NAME": BUCKET,
        "AWS_S3_ENDPOINT_URL": address,
        "AWS_S3_REGION_NAME": "us-east-1",
        "AWS_S3_ACCESS_KEY_ID": s3.ACCESS_KEY,
        "AWS_S3_SECRET_ACCESS_KEY": s3.SECRET_KEY,
    }


@pytest.fixture
def stored_in_bucket(bucket: None, stored: Weeks) -> Iterator[Weeks]:
    yield stored
    empty(stored)


@pytest.fixture
def from_bucket(
    s3_server: str, stored_in_bucket: Weeks, make_web: MakeWeb, tmp_path: Path, stack: ExitStack
) -> Served:
    """A front server that fetches files from the bucket, by URLs that the portal has signed."""
    web = make_web(X_ACCEL_REDIRECT="true", TRUSTED_PROXIES="1", **in_bucket(s3_server))
    started = front.serving(tmp_path / "nginx", tmp_path, web.url, BUCKET_ORIGIN=s3_server)
    return stack.enter_context(started), stored_in_bucket


def empty(weeks: Weeks) -> None:
    """The bucket is the session's."""
    from builds.storage import ROOT, artifacts  # noqa: PLC0415 - of this test's storage

    for file in list(artifacts().walk(f"{ROOT}/{weeks.channel.name}")):
        artifacts().delete(file.key)
