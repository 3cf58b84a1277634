"""Where artifacts lie: object keys, and writing once while hashing."""

from builds.storage.base import AlreadyStored, ArtifactStorage, Stored, StoredFile, artifacts
from builds.storage.bucket import BucketStorage
from builds.storage.folder import FolderStorage
from builds.storage.keys import (
    INCOMING,
    PUBLIC,
    ROOT,
    arrival_key,
    channel_key,
    content_type,
    is_arrival,
    is_file_name,
    is_kept,
    public_key,
    release_key,
    staging_key,
)
from builds.storage.self_test import Unfit, try_out

__all__ = [
    "INCOMING",
    "PUBLIC",
    "ROOT",
    "AlreadyStored",
    "ArtifactStorage",
    "BucketStorage",
    "FolderStorage",
    "Stored",
    "StoredFile",
    "Unfit",
    "arrival_key",
    "artifacts",
    "channel_key",
    "content_type",
    "is_arrival",
    "is_file_name",
    "is_kept",
    "public_key",
    "release_key",
    "staging_key",
    "try_out",
]
