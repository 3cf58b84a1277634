"""An upload to a bucket in parts: it appears under its key whole, once, or not at all."""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from botocore.exceptions import BotoCoreError, ClientError

from builds.points import point

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef

AT_ONCE = 4  # parts on their way, each of which is held in memory until it has arrived


def declaration(data: bytes) -> str:
    """The SHA-256 of what is sent, as S3 wants it declared; the server compares."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class Upload:
    """One upload; leaving the block by an error gives it up.

    With ChecksumAlgorithm="SHA256" the digest of each part is declared.

    Every call raises botocore's own errors: those of a part, too, at a later call.
    """

    def __init__(self, client: S3Client, what: dict[str, Any]) -> None:
        self._client = client
        self._declares = what.get("ChecksumAlgorithm") == "SHA256"
        self._name = {"Bucket": what["Bucket"], "Key": what["Key"]}
        self._name["UploadId"] = client.create_multipart_upload(**cast("Any", what))["UploadId"]
        self._parts: list[CompletedPartTypeDef] = []
        self._senders = ThreadPoolExecutor(AT_ONCE)
        self._on_the_way: deque[Future[dict[str, str]]] = deque()
        point("storage: upload begun")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What still arrives after the end of an upload would lie there unseen.
        self._senders.shutdown(cancel_futures=True)
        if error is None:
            return
        # Where the storage is away, its parts are left to `collect`.
        with suppress(ClientError, BotoCoreError):
            self._client.abort_multipart_upload(**cast("Any", self._name))

    def send(self, block: bytes) -> None:
        """Let the next part go; waits while as many are on their way as may be."""
        if len(self._on_the_way) == AT_ONCE:
            self._note(**self._on_the_way.popleft().result())
        number = self._next + len(self._on_the_way)
        self._on_the_way.append(self._senders.submit(self._send, number, block))

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
        self._note(ETag=answer["CopyPartResult"]["ETag"])

    def complete(self, **condition: str) -> None:
        """Let the whole appear, under a condition such as IfNoneMatch="*"."""
        while self._on_the_way:
            self._note(**self._on_the_way.popleft().result())
        self._client.complete_multipart_upload(
            **cast("Any", self._name | condition), MultipartUpload={"Parts": self._parts}
        )

    def _send(self, number: int, block: bytes) -> dict[str, str]:
        declared = {"ChecksumSHA256": declaration(block)} if self._declares else {}
        answer = self._client.upload_part(
            **cast("Any", self._name | declared), PartNumber=number, Body=block
        )
        return {"ETag": answer["ETag"], **declared}

    @property
    def _next(self) -> int:
        return len(self._parts) + 1

    def _note(self, **stored: str) -> None:
        part = {"PartNumber": self._next, **stored}
        self._parts.append(cast("CompletedPartTypeDef", part))
        point("storage: part stored")
