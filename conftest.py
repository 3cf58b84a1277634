"""Real servers for tests, started on demand and stopped at the end."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.conf import settings as django_settings
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from builds.signing import Keyring
from builds.tests import s3

BUCKET = "artifacts"
# Folders whose tests share something that takes long to make, and take long: they begin.
TOGETHER = ("whole_way", "production", "boots", "crash", "fleet", "databases")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of our own."""
    parser.addoption(
        "--boot-matrix", metavar="FILE", help="measure all, and write the boot matrix there"
    )
    parser.addoption(
        "--long", action="store_true", help="all of what is otherwise a sample: hours, not minutes"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest go first, so that no process works alone at the end."""
    items.sort(key=lambda item: _place(item.path.parent.name))


# Folders whose tests share nothing, and take long.
APART = ("fuzz",)


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Where several processes run tests, those of a file stay in one, and of some folders too.

    Only what is APART is shared out test by test.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = Path(file).parent.name
        if folder in APART:
            return nodeid
        return folder if folder in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    """See ByFolder."""
    return ByFolder(config, log)


def _place(folder: str) -> int:
    return TOGETHER.index(folder) if folder in TOGETHER else len(TOGETHER)


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether there is time for more than a sample."""
    return bool(request.config.getoption("--long"))


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
def release_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of keys that is made once; what is signed with them is noted in copies of it."""
    folder = tmp_path_factory.mktemp("signer") / "keys"
    Keyring(folder).make(at=timezone.now())
    return folder


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is answered with what another's rows were, which had the same numbers."""
    from builds.downloads import at_head  # noqa: PLC0415 - needs Django set up
    from builds.web import kept  # noqa: PLC0415 - the same

    kept.forget()
    # Most tests are one transaction, which tells nobody that a head has moved.
    monkeypatch.setattr(at_head, "SECONDS", 0.0)


@pytest.fixture(autouse=True)
def signer_keys(
    settings: LazySettings, release_keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Each test has a signer of its own: its real code, asked in this process."""
    folder = tmp_path_factory.mktemp("signer") / "keys"
    shutil.copytree(release_keys, folder)
    settings.SIGNER_KEYS = folder
    settings.SIGNER = {
        "BACKEND": "builds.signer.local.LocalSigner",
        "OPTIONS": {"keys": str(folder)},
    }
    # Rows of tests are as old as they are written down.
    settings.MANIFEST_EXPIRES_DAYS = 100 * 365
    return folder


@contextlib.contextmanager
def trail_is_open() -> Iterator[None]:
    """Take away the triggers by which the database itself refuses changes of the audit trail."""
    with connection.cursor() as cursor:
        put_back = _open_the_trail(cursor)
    yield
    with connection.cursor() as cursor:
        for statement in put_back:
            cursor.execute(statement)


def _flush_the_trail_too(case: TransactionTestCase) -> None:
    """Between tests the trail is emptied, as is everything else."""
    with trail_is_open():
        _flush(case)


def _open_the_trail(cursor: Any) -> list[str]:
    if connection.vendor == "postgresql":
        alter = "ALTER TABLE {table} {verb} TRIGGER USER"
        tables = ("builds_auditentry", "builds_audittip")
        for table in tables:
            cursor.execute(alter.format(table=table, verb="DISABLE"))
        return [alter.format(table=table, verb="ENABLE") for table in tables]
    cursor.execute(
        "SELECT name, sql FROM sqlite_master WHERE name LIKE 'audit_%' AND type = 'trigger'"
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f"DROP TRIGGER {name}")
    return [statement for _, statement in found]


_flush: Any = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]  # noqa: SLF001 - Django has no hook for it
TransactionTestCase._fixture_teardown = _flush_the_trail_too  # type: ignore[attr-defined]  # noqa: SLF001


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
