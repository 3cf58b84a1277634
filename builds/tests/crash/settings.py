"""The portal's own settings with times so short that breaking it 600 times takes minutes."""

from __future__ import annotations

import os

from botocore.config import Config

from builds.storage import bucket
from builds.tests import s3
from portal.settings import *  # noqa: F403
from portal.settings import DATABASES, LOGGING, SIGNER_KEYS, STORAGES

LEASE_SECONDS: float = 1.6  # type: ignore[no-redef]
HEARTBEAT_SECONDS: float = 0.3  # type: ignore[no-redef]
NIX_OFFLINE = True
LOGGING["handlers"] = {
    "file": {
        "class": "logging.FileHandler",
        "filename": os.environ["CRASH_LOG"],
        "formatter": "line",
    }
}
LOGGING["root"] = {"handlers": ["file"], "level": "WARNING"}

# The signer's own code in each worker: what kills one kills both; its tests kill it alone.
SIGNER = {
    "BACKEND": "builds.signer.local.LocalSigner",
    "OPTIONS": {"keys": str(SIGNER_KEYS)},
}

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"]["OPTIONS"],  # type: ignore[dict-item]
        "timeout": 0.5,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
        "PRAGMA foreign_keys=ON; PRAGMA busy_timeout=500;",
    }
else:
    DATABASES["default"]["OPTIONS"] = {
        "options": "-c lock_timeout=1s -c idle_in_transaction_session_timeout=1500"
    }
STORAGES["artifacts"] = {
    "BACKEND": "builds.storage.FolderStorage",
    "OPTIONS": {"location": os.environ["CRASH_STORAGE"]},
}
if os.environ.get("CRASH_S3"):
    bucket.IN_ONE_REQUEST = 600_000  # the images go in parts, the scripts in one request
    STORAGES["artifacts"] = {
        "BACKEND": "builds.storage.BucketStorage",
        "OPTIONS": {
            "bucket_name": os.environ["CRASH_BUCKET"],
            "endpoint_url": os.environ["CRASH_S3"],
            "region_name": "us-east-1",
            "access_key": s3.ACCESS_KEY,
            "secret_key": s3.SECRET_KEY,
            "client_config": Config(
                connect_timeout=0.5,
                read_timeout=0.5,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        },
    }
