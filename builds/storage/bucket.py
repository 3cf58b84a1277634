"""Artifacts in S3 or what speaks it: conditional writes, so that two writers can't both win."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from storages.backends.s3 import S3Storage
from urllib3.exceptions import HTTPError

from builds.points import point
from builds.storage.base import (
    AlreadyStored,
    Stored,
    StoredFile,
    Tick,
    blocks,
    digest_of,
    nothing,
)
from builds.storage.keys import INCOMING, content_type, is_arrival
from builds.storage.parts import Upload, declaration

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

PART_SIZE = 16 * 1024 * 1024
IN_ONE_REQUEST = PART_SIZE  # up to this size; larger files go in parts
COPIED_AT_ONCE = 512 * 1024 * 1024  # in seconds, and far below the 5 GiB that S3 allows
PATIENT = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=10,
    read_timeout=60,  # seconds without a byte
    signature_version="s3v4",
)
SIGNED_FOR = 3600  # seconds in which a download has to begin
ONCE = {"IfNoneMatch": "*"}
TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class BucketStorage(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """A bucket. The digest is kept as metadata: a multipart upload's own one is composite."""

    _process = 0

    def __init__(self, **options: Any) -> None:
        """See django-storages; tries again after pauses that grow, each of a random length."""
        super().__init__(**options)
        self.client_config: Any = self.client_config.merge(PATIENT)

    def put_once(self, key: str, source: Path, *, tick: Tick = nothing) -> Stored:
        """See ArtifactStorage."""
        with source.open("rb") as file:
            return self.put_from(key, file, source.stat().st_size, tick=tick)

    def put_from(self, key: str, source: BinaryIO, size: int, *, tick: Tick = nothing) -> Stored:
        """See ArtifactStorage."""
        if size > IN_ONE_REQUEST:
            return self._put_in_parts(key, source, tick)
        tick()
        return self.write_once(key, source.read())

    def write_once(self, key: str, data: bytes) -> Stored:
        """See ArtifactStorage."""
        stored = Stored(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        declared = {"Metadata": {"sha256": stored.sha256}, **self._declared(data), **ONCE}
        try:
            self.client.put_object(**self._object(key), Body=data, **declared)
        except ClientError as error:
            self._accept_if_same(key, stored, error)
        except BotoCoreError as error:
            raise OSError(f"the storage did not take {key}: {error}") from error
        point("storage: named")
        return stored

    def settle(self, staged: str, key: str) -> None:
        """See ArtifactStorage. The storage copies by itself; a copy appears whole.

        A copy takes no other's place: of several workers one makes it, and a reader never finds
        the file exchanged below its hands.
        """
        size, there = self._size(staged), self._size(key)
        if size is not None and size != there:
            try:
                self._copy(staged, key, size, **({} if there is not None else ONCE))
            except FileNotFoundError:
                size = None  # another worker has settled it meanwhile, or nobody ever will
            there = self._size(key)
        if there is None:
            raise FileNotFoundError(staged)
        if size is None:
            return
        if there != size:
            raise OSError(f"{staged} has not come to {key}")
        point("settle: under both keys")
        self.delete(staged)

    def _copy(self, source: str, key: str, size: int, **condition: str) -> None:
        """Copy within the bucket. Raises FileNotFoundError where there is no source."""
        place: CopySourceTypeDef = {"Bucket": self.bucket_name, "Key": source}
        try:
            with Upload(self.client, self._object(key)) as upload:
                for start in range(0, size, COPIED_AT_ONCE):
                    upload.copy(place, start, min(size, start + COPIED_AT_ONCE))
                upload.complete(**condition)
        except ClientError as error:
            if _code(error) not in TAKEN:
                raise _as_os_error(source, error) from error
        except BotoCoreError as error:
            raise _as_os_error(source, error) from error

    def replace(self, key: str, data: bytes) -> None:
        """See ArtifactStorage."""
        with _asking(key):
            self.client.put_object(**self._object(key), Body=data, **self._declared(data))
        point("storage: new text of a moving file written")

    def exists(self, name: str) -> bool:
        """See ArtifactStorage."""
        return self._size(name) is not None

    def _size(self, key: str) -> int | None:
        """The bytes that lie under a key, None where nothing does."""
        try:
            with _asking(key):
                head = self.client.head_object(Bucket=self.bucket_name, Key=key)
        except FileNotFoundError:
            return None
        return head["ContentLength"]

    def delete(self, name: str) -> None:
        """See ArtifactStorage."""
        with _asking(name):
            self.client.delete_object(Bucket=self.bucket_name, Key=name)

    def open_range(self, key: str, start: int, length: int) -> BinaryIO:
        """See ArtifactStorage."""
        if not length:
            return io.BytesIO()
        return self._get(key, Range=f"bytes={start}-{start + length - 1}")

    def read(self, key: str) -> bytes | None:
        """See ArtifactStorage."""
        try:
            with _asking(key):
                return self._get(key).read()
        except FileNotFoundError:
            return None

    def outdate(self, folder: str) -> None:
        """See ArtifactStorage. Nobody keeps anything that is made of a bucket's files."""

    def local_path(self, key: str) -> Path | None:
        """See ArtifactStorage."""
        return None

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """See ArtifactStorage."""
        prefix = f"{folder}/" if folder else ""
        pages = self.client.get_paginator("list_objects_v2")
        with _asking(folder):
            for page in pages.paginate(Bucket=self.bucket_name, Prefix=prefix):
                for found in page.get("Contents", []):
                    yield StoredFile(
                        key=found["Key"], size=found["Size"], modified_at=found["LastModified"]
                    )

    def drop_leftovers(self, *, before: datetime, only_list: bool = False) -> list[str]:
        """See ArtifactStorage."""
        dropped = [
            f"{left.key}, {left.size} bytes"
            for left in self.walk(INCOMING)
            if left.modified_at <= before and not is_arrival(left.key)
        ]
        if not only_list:
            for left in dropped:
                self.delete(left.partition(",")[0])
        pages = self.client.get_paginator("list_multipart_uploads")
        with _asking("its unfinished uploads"):
            for page in pages.paginate(Bucket=self.bucket_name):
                for upload in page.get("Uploads", []):
                    if upload["Initiated"] > before:
                        continue
                    key, number = upload["Key"], upload["UploadId"]
                    if not only_list:
                        self.client.abort_multipart_upload(
                            Bucket=self.bucket_name, Key=key, UploadId=number
                        )
                    dropped.append(f"unfinished upload of {key}")
        return dropped

    def show(self, folder: str, files: Mapping[str, str]) -> None:
        """See ArtifactStorage. A front server asks the portal for each file of a bucket."""

    def shows(self, folder: str, files: Mapping[str, str]) -> bool:
        """See ArtifactStorage."""
        return True

    def show_moving(self, folder: str, files: Mapping[str, bytes]) -> None:
        """See ArtifactStorage."""

    def shows_moving(self, folder: str, files: Mapping[str, bytes]) -> bool:
        """See ArtifactStorage."""
        return True

    def front_path(self, key: str) -> str:
        """See ArtifactStorage; deploy/nginx has a location of that name, which asks the bucket."""
        url = urlsplit(self.signed_url(key))
        return f"/_bucket{url.path}?{url.query}"

    def signed_url(self, key: str) -> str:
        """See ArtifactStorage."""
        return self.client.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket_name, "Key": key}, ExpiresIn=SIGNED_FOR
        )

    def _put_in_parts(self, key: str, source: BinaryIO, tick: Tick) -> Stored:
        digest = hashlib.sha256()
        size = 0
        try:
            with Upload(self.client, self._object(key) | self._algorithm) as upload:
                for block in blocks(source, PART_SIZE):
                    tick()
                    digest.update(block)
                    upload.send(block)
                    size += len(block)
                upload.complete(**ONCE)
        except ClientError as error:
            self._accept_if_same(key, Stored(size=size, sha256=digest.hexdigest()), error)
        except BotoCoreError as error:
            raise OSError(f"the storage did not take {key}: {error}") from error
        point("storage: named")
        return Stored(size=size, sha256=digest.hexdigest())

    @property
    def _algorithm(self) -> dict[str, str]:
        return {"ChecksumAlgorithm": "SHA256"} if settings.S3_CHECKSUMS else {}

    def _declared(self, data: bytes) -> dict[str, Any]:
        return {"ChecksumSHA256": declaration(data)} if settings.S3_CHECKSUMS else {}

    def _get(self, key: str, **how: Any) -> BinaryIO:
        with _asking(key):
            answer = self.client.get_object(Bucket=self.bucket_name, Key=key, **how)
        return cast("BinaryIO", answer["Body"])

    def _accept_if_same(self, key: str, stored: Stored, error: ClientError) -> None:
        """Swallow a refused write where the very same bytes are there already."""
        if _code(error) not in TAKEN:
            raise OSError(f"the storage did not take {key}: {error}") from error
        with _asking(key):
            there = digest_of(self._get(key))
        if there != stored.sha256:
            raise AlreadyStored(key) from error

    def _object(self, key: str) -> Any:
        return {
            "Bucket": self.bucket_name,
            "Key": key,
            "ContentType": content_type(key.rpartition("/")[2]),
        }

    @property
    def client(self) -> S3Client:
        """This process's own client: a fork would share its parent's open connections, and each
        would read the answers to the other's questions."""
        if self._process != os.getpid():
            self._connections, self._process = threading.local(), os.getpid()
        return cast("S3Client", self.connection.meta.client)


@contextmanager
def _asking(key: str) -> Iterator[None]:
    """What goes wrong on the way to the storage is an OSError, like on a disk."""
    try:
        yield
    except (ClientError, BotoCoreError, HTTPError) as error:
        raise _as_os_error(key, error) from error


def _as_os_error(key: str, error: Exception) -> OSError:
    if isinstance(error, ClientError) and _code(error) in MISSING:
        return FileNotFoundError(key)
    return OSError(f"the storage did not answer for {key}: {error}")


def _code(error: ClientError) -> str:
    response = cast("Mapping[str, Any]", error.response)
    return str(response.get("Error", {}).get("Code", ""))
