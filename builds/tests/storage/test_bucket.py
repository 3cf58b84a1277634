"""What only a bucket can get wrong, on a real S3 server."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from builds.storage import BucketStorage, artifacts, bucket, staging_key

pytestmark = pytest.mark.usefixtures("bucket")

READS = 60


def storage() -> BucketStorage:
    found = artifacts()
    assert isinstance(found, BucketStorage)
    return found


def wrong_reads(key: str, data: bytes) -> int:
    return sum(artifacts().read(key) != data for _ in range(READS))


def test_forked_worker_and_its_parent_each_read_their_own_file() -> None:
    ours, theirs = b"our" * 200_000, b"their" * 200_000
    artifacts().write_once("forked/ours", ours)
    artifacts().write_once("forked/theirs", theirs)
    assert artifacts().read("forked/ours") == ours  # a connection stays open now

    child = os.fork()
    if not child:
        code = 2
        try:
            code = int(wrong_reads("forked/theirs", theirs) > 0)
        finally:
            os._exit(code)
    wrong = wrong_reads("forked/ours", ours)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert wrong == 0


def test_settling_never_takes_the_place_of_a_file_that_came_meanwhile() -> None:
    key, staged = "settled/once/initrd", staging_key(1, "once")
    artifacts().write_once(staged, b"whole")
    artifacts().write_once(key, b"there")

    storage()._copy(staged, key, len(b"whole"), **bucket.ONCE)

    artifacts().delete(staged)
    assert artifacts().read(key) == b"there"


def test_of_many_workers_that_settle_one_file_none_fails_and_it_is_there_once() -> None:
    for number in range(3):
        key, staged = f"settled/{number}/initrd", staging_key(number, "initrd")
        data = os.urandom(300_000)
        artifacts().write_once(staged, data)
        errors: list[BaseException] = []

        settle_at_once(staged, key, errors)

        assert not errors
        assert artifacts().read(key) == data
        assert not artifacts().exists(staged)


def settle_at_once(staged: str, key: str, errors: list[BaseException]) -> None:
    def settle() -> None:
        try:
            artifacts().settle(staged, key)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=settle) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_large_file_is_copied_in_parts_and_keeps_its_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "COPIED_AT_ONCE", 6 * 1024 * 1024)  # S3's least is 5
    data = os.urandom(14 * 1024 * 1024)
    (tmp_path / "installer.tar.gz").write_bytes(data)
    staged, key = staging_key(3, "installer.tar.gz"), "settled/large/installer.tar.gz"
    artifacts().put_once(staged, tmp_path / "installer.tar.gz")

    artifacts().settle(staged, key)

    assert artifacts().read(key) == data
    head = storage().client.head_object(Bucket=storage().bucket_name, Key=key)
    assert head["ContentType"] == "application/gzip"
