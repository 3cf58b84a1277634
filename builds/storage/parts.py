"""An upload to a bucket in parts: it appears under its key whole, once, or not at all."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from botocore.exceptions import BotoCoreError, ClientError

from builds.points import point

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef


def declaration(data: bytes) -> str:
    """The SHA-256 of what is sent, as S3 wants it declared; the server compares."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class Upload:
    """One upload; leaving the block by an error gives it up.

    With ChecksumAlgorithm="SHA256" the digest of each part is declared.

    Every call raises botocore's own errors.
    """

    def __init__(self, client: S3Client, what: dict[str, Any]) -> None:
        self._client = client
        self._declares = what.get("ChecksumAlgorithm") == "SHA256"
        self._name = {"Bucket": what["Bucket"], "Key": what["Key"]}
        self._name["UploadId"] = client.create_multipart_upload(**cast("Any", what))["UploadId"]
        self._parts: list[CompletedPartTypeDef] = []
        point("storage: upload begun")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            return
        # Where the storage is away, its parts are left to `collect`.
        with suppress(ClientError, BotoCoreError):
            self._client.abort_multipart_upload(**cast("Any", self._name))

    def send(self, block: bytes) -> None:
        """Store the next part."""
        declared = {"ChecksumSHA256": declaration(block)} if self._declares else {}
        answer = self._client.upload_part(
            **cast("Any", self._name | declared), PartNumber=self._next, Body=block
        )
        self._note(answer["ETag"], **declared)

    def copy(self, source: CopySourceTypeDef, start: int, end: int) -> None:
        """Let the storage copy the bytes from `start` up to `end`, not included, as the next part.

        Raises NoSuchKey as a ClientError where there is no such source.
        """
        answer = self._client.upload_part_copy(
            **cast("Any", self._name),
            PartNumber=self._next,
            CopySource=source,
            CopySourceRange=f"bytes={start}-{end - 1}",
        )
        self._note(answer["CopyPartResult"]["ETag"])

    def complete(self, **condition: str) -> None:
        """Let the whole appear, under a condition such as IfNoneMatch="*"."""
        self._client.complete_multipart_upload(
            **cast("Any", self._name | condition), MultipartUpload={"Parts": self._parts}
        )

    @property
    def _next(self) -> int:
        return len(self._parts) + 1

    def _note(self, etag: str, **declared: str) -> None:
        part = {"PartNumber": self._next, "ETag": etag, **declared}
        self._parts.append(cast("CompletedPartTypeDef", part))
        point("storage: part stored")
