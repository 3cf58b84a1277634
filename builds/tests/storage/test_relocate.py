"""Moving every file from a folder to S3 and back: whole, compared, gone on with after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from builds import pipeline
from builds.pipeline.relocate import Moved
from builds.storage import (
    ROOT,
    ArtifactStorage,
    BucketStorage,
    FolderStorage,
    arrival_key,
    artifacts,
    staging_key,
)
from builds.tests import s3
from builds.tests.downloads.conftest import SYSTEM, stored_release
from builds.tests.models.rows import channel
from builds.tests.serving.conftest import in_bucket

pytestmark = pytest.mark.django_db(transaction=True)

INITRD = f"initrd-{SYSTEM}"
BUCKET = f"moved-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def made(s3_server: str) -> None:
    """A bucket that nothing but this module's tests is in."""
    s3.Server(int(s3_server.rpartition(":")[2]), Path(os.devnull)).make_bucket(BUCKET)


@pytest.fixture
def there(made: None, s3_server: str, settings: LazySettings) -> Any:
    """The bucket, empty, as the command finds it."""
    for name, value in (in_bucket(s3_server) | {"AWS_STORAGE_BUCKET_NAME": BUCKET}).items():
        setattr(settings, name, value)
    storage = BucketStorage()
    yield storage
    for file in [*storage.walk(""), *storage.walk(".incoming")]:
        storage.delete(file.key)


@pytest.fixture
def here(storage_folder: Path) -> Any:
    """A folder with a published release of two weeks, and what waits beside."""
    of = channel(is_default=True)
    stored_release(of, "1.0")
    stored_release(of, "2.0")
    artifacts().write_once(staging_key(7, "initrd"), b"of a build that waits for its row")
    artifacts().write_once(arrival_key(3, 0, "tag"), b"a part of an upload")
    (storage_folder / ".incoming" / "tmp123").write_bytes(b"half of someth")
    return FolderStorage(location=storage_folder)


def contents(storage: ArtifactStorage) -> dict[str, bytes | None]:
    files = [*storage.walk(""), *storage.walk(".incoming")]
    return {file.key: storage.read(file.key) for file in files if "tmp123" not in file.key}


def move(source: ArtifactStorage, target: ArtifactStorage, **how: Any) -> list[Moved]:
    return list(pipeline.relocate(source, target, **how))


def test_everything_comes_to_the_bucket_and_back_byte_by_byte(
    here: Any, there: Any, tmp_path: Path
) -> None:
    first = move(here, there)
    again = move(here, there)
    back = FolderStorage(location=tmp_path / "back")
    move(there, back)

    assert {moved.word for moved in first} == {"copied"}
    assert {moved.word for moved in again} == {"there"}
    assert contents(here) == contents(there) == contents(back)
    assert len(first) > 20


def test_what_moves_comes_last_and_manifests_after_the_files_that_they_name(
    here: Any, there: Any
) -> None:
    keys = [moved.key for moved in move(here, there)]

    moving = [key for key in keys if key.startswith(ROOT) and key.count("/") == 3]
    manifests = [key for key in keys if key.rpartition("/")[2].startswith("release-x")]
    manifests = [key for key in manifests if key.endswith(".json")]
    assert len(moving) > 3
    assert keys[-len(moving) :] == moving
    assert keys[-len(moving) - len(manifests) : -len(moving)] == manifests


def test_dry_run_writes_nothing(here: Any, there: Any) -> None:
    listed = move(here, there, dry_run=True)

    assert {moved.word for moved in listed} == {"would copy"}
    assert contents(there) == {}


@pytest.mark.parametrize("same_size", [True, False])
def test_other_bytes_in_the_target_stay_and_nothing_that_moves_follows(
    here: Any, there: Any, same_size: bool
) -> None:
    key = f"{ROOT}/demo/1.0/{INITRD}"
    size = len(here.read(key))
    other = b"o" * (size if same_size else size + 1)
    there.write_once(key, other)

    moved = {each.key: each for each in move(here, there)}

    assert moved[key].word == "differs"
    assert there.read(key) == other
    assert moved[f"{ROOT}/demo/SHA256SUMS"].word == "waits"
    assert there.read(f"{ROOT}/demo/SHA256SUMS") is None
    assert moved[f"{ROOT}/demo/2.0/{INITRD}"].word == "copied"


def test_file_that_is_damaged_in_the_source_is_not_copied(
    here: Any, there: Any, storage_folder: Path
) -> None:
    key = f"{ROOT}/demo/1.0/{INITRD}"
    path = storage_folder / key
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)

    moved = {each.key: each.word for each in move(here, there)}

    assert moved[key] == "damaged"
    assert not there.exists(key)
    assert moved[f"{ROOT}/demo/latest-{SYSTEM}.json"] == "waits"


def test_command_moves_says_so_and_fails_where_a_person_is_wanted(
    here: Any, there: Any, storage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("migrate_storage", "file", "s3", folder=storage_folder)
    assert "copied" in capsys.readouterr().out.splitlines()[-1]
    key = f"{ROOT}/demo/1.0/{INITRD}"
    there.delete(key)
    there.write_once(key, b"of somebody else")

    with pytest.raises(CommandError, match="1 differs"):
        call_command("migrate_storage", "file", "s3", folder=storage_folder)
    with pytest.raises(CommandError, match="the same"):
        call_command("migrate_storage", "s3", "s3")


def test_move_that_is_killed_goes_on_where_it_was(
    there: Any, s3_server: str, storage_folder: Path, tmp_path: Path
) -> None:
    for number in range(12):
        path = storage_folder / ROOT / "demo" / str(number) / "image"
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(20 * 1024**2))
    here = FolderStorage(location=storage_folder)
    environment = os.environ | in_bucket(s3_server)
    environment |= {"DATA_DIR": str(tmp_path), "AWS_STORAGE_BUCKET_NAME": BUCKET}
    manage: list[str | Path] = [sys.executable, django_settings.BASE_DIR / "manage.py"]
    command: list[str | Path] = [
        *manage,
        "migrate_storage",
        "file",
        "s3",
        "--folder",
        storage_folder,
    ]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, check=True)

    killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(there.walk(""))) < 3:
        assert killed.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = {file.key: file.modified_at for file in there.walk("")}
    assert 0 < len(before) < 12
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert f"{len(before)} there" in done.stdout.splitlines()[-1]
    after = {file.key: file.modified_at for file in there.walk("")}
    assert {key: after[key] for key in before} == before, "nothing was copied twice"
    assert contents(there) == contents(here)
