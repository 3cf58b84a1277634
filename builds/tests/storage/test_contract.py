"""What every storage must do, proven on a folder and on a real S3 server."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builds.storage import (
    INCOMING,
    AlreadyStored,
    BucketStorage,
    FolderStorage,
    artifacts,
    staging_key,
)
from conftest import BUCKET

MIB = 1024 * 1024


@pytest.fixture(params=["folder", "bucket"], autouse=True)
def storage_kind(request: pytest.FixtureRequest) -> str:
    if request.param == "bucket":
        request.getfixturevalue("bucket")
    return str(request.param)


@pytest.fixture
def key() -> str:
    return f"releases/download/demo/{uuid.uuid4().hex}/initrd-x86_64-linux"


def file_of(folder: Path, data: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(data)
    return path


def read(key: str, start: int, length: int) -> bytes:
    with artifacts().open_range(key, start, length) as part:
        return part.read()


@pytest.mark.parametrize("size", [1, MIB, 40 * MIB + 7])
def test_stored_file_has_the_size_and_digest_of_its_source(
    tmp_path: Path, key: str, size: int
) -> None:
    data = os.urandom(size)

    stored = artifacts().put_once(key, file_of(tmp_path, data))

    assert stored.size == size
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert read(key, 0, size) == data


def test_upload_that_is_stopped_leaves_nothing(tmp_path: Path, key: str) -> None:
    blocks = iter(range(2))

    def tick() -> None:
        if next(blocks, None) is None:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        artifacts().put_once(key, file_of(tmp_path, os.urandom(40 * MIB)), tick=tick)

    assert not artifacts().exists(key)
    assert read_parts(key) == []


def read_parts(key: str) -> list[str]:
    """What is left of uploads that were not finished."""
    storage: Any = artifacts()
    if isinstance(storage, FolderStorage):
        return [str(path) for path in Path(storage.path(INCOMING)).iterdir()]
    uploads = storage.client.list_multipart_uploads(Bucket=storage.bucket_name)
    return [each["Key"] for each in uploads.get("Uploads", []) if each["Key"] == key]


def test_range_gives_exactly_that_part(tmp_path: Path, key: str) -> None:
    data = os.urandom(3 * MIB)
    artifacts().put_once(key, file_of(tmp_path, data))

    assert read(key, MIB - 3, 11) == data[MIB - 3 : MIB + 8]
    assert read(key, 3 * MIB - 1, 1) == data[-1:]


def test_storing_the_same_bytes_again_does_nothing(tmp_path: Path, key: str) -> None:
    first = artifacts().put_once(key, file_of(tmp_path, b"kernel"))

    assert artifacts().put_once(key, file_of(tmp_path, b"kernel")) == first


@pytest.mark.parametrize("size", [6, 33 * MIB])
def test_other_bytes_under_a_key_are_refused_and_the_first_stay(
    tmp_path: Path, key: str, size: int
) -> None:
    first = os.urandom(size)
    artifacts().put_once(key, file_of(tmp_path, first))

    with pytest.raises(AlreadyStored) as refused:
        artifacts().put_once(key, file_of(tmp_path, os.urandom(size)))

    assert key in str(refused.value)
    assert read(key, 0, size) == first


def test_of_many_writers_of_one_key_one_wins_whole(tmp_path: Path, key: str) -> None:
    contents = {bytes([letter]) * MIB for letter in b"abcdefgh"}
    refused: list[AlreadyStored] = []

    def write(data: bytes) -> None:
        path = tmp_path / data[:1].decode()
        path.write_bytes(data)
        try:
            artifacts().put_once(key, path)
        except AlreadyStored as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=[data]) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == len(contents) - 1
    assert read(key, 0, MIB) in contents


def test_moving_file_is_replaced(key: str) -> None:
    artifacts().replace(key, b"week 1")
    artifacts().replace(key, b"week 2")

    assert artifacts().read(key) == b"week 2"


def test_outdated_folder_keeps_its_bytes_and_each_file_there_gets_another_time(key: str) -> None:
    folder, _, name = key.rpartition("/")
    below = f"{folder}/1.0/{name}"
    for each in (key, below):
        artifacts().replace(each, b"week 1")
    places = [artifacts().local_path(each) for each in (key, below)]
    times = []
    for _ in range(3):
        artifacts().outdate(folder)
        times.append([place.stat().st_mtime_ns for place in places if place])
    artifacts().outdate(f"{folder}/missing")

    assert artifacts().read(key) == b"week 1"
    if all(places):
        assert len({at for at, _ in times}) == 3, "also within one tick of the clock"
        assert len({at for _, at in times}) == 1, "what lies below never moves"


def test_what_is_not_there_says_so(key: str) -> None:
    assert not artifacts().exists(key)
    assert artifacts().read(key) is None
    with pytest.raises(FileNotFoundError):
        artifacts().open_range(key, 0, 10)


def test_deleting_twice_is_harmless(tmp_path: Path, key: str) -> None:
    artifacts().put_once(key, file_of(tmp_path, b"x"))

    artifacts().delete(key)
    artifacts().delete(key)

    assert not artifacts().exists(key)


def test_walking_gives_every_file_of_a_folder_with_size_and_time(tmp_path: Path, key: str) -> None:
    folder = key.rpartition("/")[0]
    before = datetime.now(UTC) - timedelta(seconds=2)  # S3 tells whole seconds
    artifacts().put_once(key, file_of(tmp_path, b"12345"))
    artifacts().write_once(f"{folder}/deeper/sums", b"123")
    artifacts().write_once(f"{folder}-2/sums", b"1")

    files = list(artifacts().walk(folder))

    assert {file.key: file.size for file in files} == {key: 5, f"{folder}/deeper/sums": 3}
    after = datetime.now(UTC) + timedelta(seconds=2)
    assert all(before <= file.modified_at <= after for file in files)


def test_walking_what_is_not_there_gives_nothing(key: str) -> None:
    assert list(artifacts().walk(key)) == []


def test_files_of_one_folder_come_one_after_another(key: str) -> None:
    folder = key.rpartition("/")[0]
    for name in ("1/a", "1-2/a", "1/b", "1.5/a", "1-2/b", "sums", "1/c"):
        artifacts().write_once(f"{folder}/{name}", b"x")

    keys = [file.key.removeprefix(f"{folder}/") for file in artifacts().walk(folder)]

    folders = [key.rpartition("/")[0] for key in keys if "/" in key]
    assert len(folders) == 6
    changes = [name for name, before in zip(folders[1:], folders, strict=False) if name != before]
    assert len(changes) == 2


def test_walk_over_more_than_one_page_misses_nothing(key: str) -> None:
    folder = key.rpartition("/")[0]
    for number in range(1010):
        artifacts().write_once(f"{folder}/{number:04}", b"x")

    assert len(list(artifacts().walk(folder))) == 1010


def test_leftover_of_a_write_that_broke_off_goes_when_it_is_old(
    storage_kind: str, storage_folder: Path, key: str
) -> None:
    leave_half_a_file(storage_kind, storage_folder, key)
    now = datetime.now(UTC)

    young = artifacts().drop_leftovers(before=now - timedelta(hours=1))
    listed = artifacts().drop_leftovers(before=now + timedelta(seconds=2), only_list=True)
    old = artifacts().drop_leftovers(before=now + timedelta(seconds=2))
    again = artifacts().drop_leftovers(before=now + timedelta(seconds=2))

    assert [len(young), len(listed), len(old), len(again)] == [0, 1, 1, 0]
    assert listed == old


def leave_half_a_file(kind: str, folder: Path, key: str) -> None:
    """What a writer leaves that is killed half-way."""
    if kind == "folder":
        (folder / ".incoming").mkdir(parents=True)
        (folder / ".incoming" / "tmpabc").write_bytes(b"half a fi")
        return
    storage = artifacts()
    assert isinstance(storage, BucketStorage)
    client = storage.client
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"half a fi")


def test_settled_file_has_its_last_key_alone_and_settling_again_does_nothing(
    tmp_path: Path, key: str
) -> None:
    staged = staging_key(7, "initrd")
    artifacts().put_once(staged, file_of(tmp_path, b"initrd"))

    artifacts().settle(staged, key)
    artifacts().settle(staged, key)

    assert artifacts().read(key) == b"initrd"
    assert not artifacts().exists(staged)


def test_settling_what_is_nowhere_says_so(key: str) -> None:
    with pytest.raises(FileNotFoundError):
        artifacts().settle(staging_key(8, "initrd"), key)


class Breaking:
    """A file of 40 MiB whose reader finds at its end that it is wrong."""

    def __init__(self) -> None:
        self.left = 40

    def read(self, size: int) -> bytes:
        self.left -= 1
        if not self.left:
            raise ValueError("it is wrong")
        return b"x" * min(size, MIB)


def test_file_whose_reader_refuses_its_end_gets_no_name(key: str) -> None:
    with pytest.raises(ValueError, match="it is wrong"):
        artifacts().put_from(key, Breaking(), 40 * MIB)  # type: ignore[arg-type]

    assert not artifacts().exists(key)
    assert artifacts().put_from(key, io.BytesIO(b"right"), 5).size == 5
