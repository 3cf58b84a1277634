"""Whether a bucket does what the portal relies on; tried at each start, with files of no size."""

from __future__ import annotations

import secrets
from typing import Any

from botocore.exceptions import ClientError

from builds.storage.base import AlreadyStored
from builds.storage.bucket import ONCE, BucketStorage
from builds.storage.keys import INCOMING
from builds.storage.parts import Upload, declaration

FIRST, OTHER = b"the first", b"other bytes"


class Unfit(Exception):
    """The bucket can't be relied on; the text says what it does wrong."""


def try_out(bucket: BucketStorage) -> list[str]:
    """What is worth knowing of a bucket that can be relied on, a sentence each.

    Raises Unfit, and OSError where it does not answer or takes nothing.
    """
    key = f"{INCOMING}/self-test-{secrets.token_hex(8)}"
    try:
        bucket.write_once(key, FIRST)
        _keeps_the_first(bucket, key)
        with bucket.open_range(key, 4, 3) as part:
            if part.read() != FIRST[4:7]:
                raise Unfit("it gives other bytes than the range that was asked for")
        return [] if _compares(bucket, key) else [REMARK]
    finally:
        bucket.delete(key)


REMARK = "the S3 server does not compare the SHA-256 that is declared to it; `manage.py scrub` does"


def _keeps_the_first(bucket: BucketStorage, key: str) -> None:
    """Written once is written once, whole and in parts."""
    try:
        bucket.write_once(key, OTHER)
    except AlreadyStored:
        pass
    else:
        raise Unfit("it lets a file be written over that is there: it knows no If-None-Match")
    name: dict[str, Any] = {"Bucket": bucket.bucket_name, "Key": key}
    try:
        with Upload(bucket.client, name) as upload:
            upload.send(OTHER)
            upload.complete(**ONCE)
    except ClientError:
        return
    raise Unfit("it lets an upload in parts take a file's place: it knows no If-None-Match there")


def _compares(bucket: BucketStorage, key: str) -> bool:
    """Whether it refuses bytes that have another digest than was declared."""
    try:
        bucket.client.put_object(
            Bucket=bucket.bucket_name, Key=key, Body=FIRST, ChecksumSHA256=declaration(OTHER)
        )
    except ClientError:
        return True
    return False
